"""A fault that no command expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentrace.cli import app, faults
from gentrace.cli.app import run


@pytest.fixture
def at_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every command meets a fault that quotes what it has read."""
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))

    def failing(_: object) -> int:
        raise IndexError("a harbour at night")

    monkeypatch.setattr(app, "_run", failing)


@pytest.mark.usefixtures("at_fault")
def test_a_fault_of_our_own_is_one_message_and_its_traceback_is_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = run(["list"])
    printed = capsys.readouterr()
    (kept,) = tmp_path.glob("gentrace-fault-*.txt")
    assert code == faults.EXIT_CODE
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "IndexError" in printed.err
    assert str(kept) in printed.err
    assert "harbour" not in printed.err
    assert "IndexError: a harbour at night" in kept.read_text(encoding="utf-8")


@pytest.mark.usefixtures("at_fault")
def test_where_no_file_can_be_written_the_message_comes_all_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path / "missing"))
    assert run(["list"]) == faults.EXIT_CODE
    assert "could not be written" in capsys.readouterr().err
