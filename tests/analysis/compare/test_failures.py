"""Failures: which look alike, since when, what stands beside them, and who explains whom."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.model import Finding, RunRow
from gentrace.analysis.compare.table import table
from gentrace.core import names
from tests.analysis.compare.test_unfinished import run


def failed(row: RunRow, code: str | None = "boom", kind: str | None = "x.Boom") -> RunRow:
    return replace(row, outcome="failed", error_code=code, error_type=kind, stage="provider")


def service(n: int, *those: int) -> list[RunRow]:
    """Runs of which those have failed."""
    rows = [run(k, 20.0, str(k % 4)) for k in range(n)]
    return [failed(row) if k in those else row for k, row in enumerate(rows)]


@pytest.mark.parametrize("those", [(50,), (199,), (390,), (150, 152), (397, 399), (0, 200, 399)])
def test_few_failures_do_not_tell_when_they_began_or_ended(those: tuple[int, ...]) -> None:
    (found,) = failing(table(service(400, *those))).fingerprints
    assert found.new_since is None
    assert found.still_happening is (None if len(those) < 3 else True)


def test_failures_at_any_moment_are_neither_new_nor_over() -> None:
    claimed = 0
    for seed in range(100):
        draw = random.Random(seed)
        (found,) = failing(table(service(300, *draw.sample(range(300), 6)))).fingerprints
        claimed += (found.new_since is not None) + (found.still_happening is False)
    assert claimed <= 6


def test_a_burst_is_new_and_over() -> None:
    (found,) = failing(table(service(400, *range(200, 220, 2)))).fingerprints
    assert found.new_since is not None
    assert found.still_happening is False


def test_what_was_asked_for_is_a_plain_fact() -> None:
    rows = service(400, 300)
    (found,) = failing(table(rows), rows[250].start_ns).fingerprints
    assert found.new_since is not None


def test_a_kind_without_successes_stands_beside_the_wider_kind() -> None:
    rows = [replace(failed(row), model="a-2") if k % 5 == 0 else row
            for k, row in enumerate(service(120))]  # fmt: skip
    answer = failing(table(rows))
    near = answer.fingerprints[0].nearest_success
    assert near is not None
    assert not near.same_kind
    assert answer.groups["nearest"].n > 20
    assert any("24 failures" in note for note in answer.notes)
    answer = failing(table([replace(row, provider="b", operation="c") if row.outcome == "failed"
                            else row for row in rows]))  # fmt: skip
    assert answer.fingerprints[0].nearest_success is not None


def test_one_text_is_one_fingerprint() -> None:
    given: list[tuple[str | None, str | None]] = [
        (None, "a.errors.TimeoutError"), (None, "b.other.TimeoutError"),
        ("quota", "failed"), ("quota", None), ("full", "a.Full"),
    ]  # fmt: skip
    rows = [failed(row, *given[k % 10]) if k % 10 < len(given) else row
            for k, row in enumerate(service(100))]  # fmt: skip
    told = {each.fingerprint: each.n for each in failing(table(rows)).fingerprints}
    assert told == {
        "a.errors.TimeoutError at provider": 10,
        "b.other.TimeoutError at provider": 10,
        "quota at provider": 20,
        "full Full at provider": 10,
    }


def causes(mine: float, of_m1: float, others: float, seed: int = 6) -> Sequence[Finding]:
    """Account 9 has m1 for itself and a quarter of its runs in m2, which the others use: how often
    each fails."""
    draw = random.Random(seed)
    rows: list[RunRow] = []
    for k in range(400):
        account = "9" if k % 8 < 4 else str(k % 4)
        chance = others if account != "9" else of_m1 if k % 8 < 3 else mine
        row = replace(run(k, 20.0, account), model="m1" if k % 8 < 3 else "m2")
        rows.append(failed(row) if draw.random() < chance else row)
    return [each for each in failing(table(rows)).findings if each.kind == "attribute"]


@pytest.mark.parametrize("seed", range(6))
def test_an_account_explains_the_model_that_only_it_uses(seed: int) -> None:
    found = causes(mine=0.6, of_m1=0.6, others=0.14, seed=seed)
    assert [(each.name, each.value) for each in found] == [(names.ACCOUNT_ID, "9")]


@pytest.mark.parametrize("seed", range(6))
def test_a_model_is_no_cause_where_only_an_accounts_runs_say_so(seed: int) -> None:
    found = causes(mine=0.85, of_m1=0.4, others=0.4, seed=seed)
    assert [(each.name, each.value) for each in found] == [(names.ACCOUNT_ID, "9")]


def test_shares_are_compared_where_there_are_others() -> None:
    (found,) = causes(mine=0.7, of_m1=0.1, others=0.1)
    assert 0.45 < found.effect < 0.75
