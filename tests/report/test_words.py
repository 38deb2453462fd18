"""Durations, moments and shares in few characters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gentrace.core.run.times import State
from gentrace.report import summary, words
from gentrace.report.json import iso
from gentrace.report.terminal import wrapped
from tests.core.traces import completed


@pytest.mark.parametrize(
    ("span_ms", "text"),
    [
        (0, "0 ms"), (0.04, "0 ms"), (0.4, "0.4 ms"), (8.24, "8.2 ms"), (9.97, "10 ms"),
        (999.4, "999 ms"), (999.6, "1.00 s"), (1_239, "1.24 s"), (41_200, "41.2 s"),
        (59_960, "1m 00s"), (192_000, "3m 12s"), (7_500_000, "2h 05m"), (300_000_000, "3d 11h"),
    ],
)  # fmt: skip
def test_durations(span_ms: float, text: str) -> None:
    assert words.duration(round(span_ms * 1e6)) == text


@given(st.integers(0, 90 * 86_400 * 10**9))
def test_durations_are_short(span_ns: int) -> None:
    assert len(words.duration(span_ns)) <= 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_600, "1 h"), (86_400, "24 h"), (172_800, "2 d")],
)
def test_ages(seconds: int, text: str) -> None:
    assert words.age(0, seconds * 10**9) == text


def test_shares() -> None:
    spent = {State.API: 1, State.QUEUE: 0, State.WORKER: 999}
    told = [(state, words.percent(share)) for state, _, share in words.shares(spent)]
    assert told == [(State.WORKER, "100 %"), (State.API, "<1 %")]
    assert words.shares({}) == []


def test_moments_in_json() -> None:
    assert iso(1_782_000_000_123_456_789) == "2026-06-21T00:00:00.123456Z"


@given(st.text(st.sampled_from("ab cé日 "), max_size=80), st.integers(10, 30))
def test_wrapping_keeps_every_character_and_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)


def test_an_error_is_named_once_where_its_code_is_its_class() -> None:
    assert words.error("content_filtered", "content_filtered") == "content_filtered"
    assert words.error("unavailable", "host.errors.ProviderError") == "unavailable ProviderError"
    assert words.error(None, "ValueError") == "ValueError"
    assert words.error(None, None) == ""


@pytest.mark.parametrize(
    ("name", "told"), [("SELECT generations", []), ("SELECT pixsim7", ["SELECT generations"])]
)
def test_a_statement_is_not_told_twice(name: str, told: list[str]) -> None:
    (span, *_) = completed().spans
    statement = {"db.system": "sqlite", "db.statement": "SELECT generations"}
    assert summary.words(replace(span, name=name, kind="CLIENT", attributes=statement)) == told
