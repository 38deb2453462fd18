"""Much to read: a line says how far it is, and what is left out is said."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from gentrace.cli import progress
from gentrace.cli.app import run
from gentrace.report import waterfall
from gentrace.sources import otlp_files
from gentrace.sources.otlp_files import OtlpFiles
from tests.core import traces
from tests.sources.test_index import a_run, lines, put
from tests.support.shapes import shaped


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tmp_path / "spool"
    made.mkdir()
    put(made / "a.jsonl", *lines(*(a_run(n) for n in range(1, 6))))
    return made


COMMANDS = (["list"], ["show", "1"], ["compare", "1", "2"], ["slow"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_terminal_is_told_how_much_was_read(
    folder: Path, command: list[str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    screen = io.StringIO()
    monkeypatch.setattr(progress, "_QUICK_S", -1)
    monkeypatch.setattr(
        progress, "Console", lambda **_: Console(file=screen, force_terminal=True, width=80)
    )
    assert run([*command, "--source", str(folder)]) == 0
    assert "read 0 MiB" in screen.getvalue()
    assert "read 0 MiB" not in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_no_terminal_is_told_nothing(
    folder: Path, command: list[str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(progress, "_QUICK_S", -1)
    assert run([*command, "--source", str(folder)]) == 0
    assert capsys.readouterr().err == ""


def test_more_spans_than_are_taken_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder / "b.jsonl", *lines(a_run(6), a_run(7)))
    monkeypatch.setattr(otlp_files, "MOST_SPANS", 8)
    assert run(["list", "--json", "--source", str(folder)]) == 0
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert answer["truncated"] is True
    assert {each["id"] for each in answer["generations"]} == {"6", "7", "1", "2"}
    (note,) = told.err.splitlines()
    assert "more than 8 spans are asked for" in note
    assert f"the rest of {folder / 'a.jsonl'} is left out" in note
    assert run(["show", "5", "--json", "--source", str(folder)]) == 0  # one that list left out
    assert capsys.readouterr().err == ""


def test_exactly_as_many_as_are_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_files, "MOST_SPANS", 10)
    source = OtlpFiles(folder)
    assert len(source.traces().traces) == 5
    assert list(source.notes) == []


@pytest.mark.parametrize("shape", ["wide", "chain", "comb"])
def test_a_tree_of_more_lines_than_anybody_reads(
    folder: Path, shape: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spans = shaped(shape, 100, generation="much").spans
    put(folder / "c.jsonl", json.dumps(traces.request(*spans)))
    monkeypatch.setattr(waterfall, "MOST_LINES", 30)
    assert run(["show", "much", "--source", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "spans more" in told
    assert "of them failed" in told or shape != "comb"
    assert run(["show", "much", "--all", "--source", str(folder)]) == 0
    assert "spans more" not in capsys.readouterr().out


def test_spans_that_lie_too_deep_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("deep", "deeper"):
        spans = shaped("chain", 200, traces.trace_id(name), name).spans
        put(folder / "c.jsonl", json.dumps(traces.request(*spans)))
    assert run(["compare", "deep", "deeper", "--source", str(folder)]) == 0
    assert "50 spans lie deeper than 150 levels of calls" in capsys.readouterr().out
