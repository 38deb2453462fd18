"""Doctor on a Python that does not read the start-up file that came with gentrace."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentrace.analysis import unread_switch
from gentrace.analysis.doctor import Diagnosis


def test_it_says_where_the_file_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEX", raising=False)
    package = tmp_path / "gentrace"
    package.mkdir()
    none = unread_switch.added(Diagnosis(), [str(tmp_path / "site")], str(package))
    assert f"there is no {unread_switch.FILE}" in none.problems[0].summary
    (tmp_path / unread_switch.FILE).touch()
    beside = unread_switch.added(Diagnosis(), [str(tmp_path / "site")], str(package))
    assert f"{tmp_path / unread_switch.FILE} is not read" in beside.problems[0].summary
    assert beside.exit_code == 1


def test_it_is_silent_where_the_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PEX", raising=False)
    (tmp_path / unread_switch.FILE).touch()
    assert unread_switch.added(Diagnosis(), [str(tmp_path)], str(tmp_path)).problems == ()
    monkeypatch.setenv("PEX", "app.pex")
    assert unread_switch.added(Diagnosis(), [], str(tmp_path)).problems == ()
