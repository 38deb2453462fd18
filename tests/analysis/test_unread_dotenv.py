"""Doctor's word on a ``.env`` that asks for gentrace too late."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gentrace.analysis import doctor, unread_dotenv
from gentrace.sources.processes import ProcessRecord


def codes(folder: Path, *roles: str, environ: Mapping[str, str] | None = None) -> list[str]:
    running = [ProcessRecord(True, {"role": role, "instance": role}) for role in roles]
    found = unread_dotenv.added(doctor.of_processes(running), str(folder), environ or {})
    return [problem.code for problem in found.problems]


def test_it_is_said_where_something_runs_untraced(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GENTRACE=1\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    assert codes(inner) == ["dotenv_not_read", "nothing_seen"]
    assert codes(inner, "api") == ["dotenv_not_read", "no_worker"]
    assert codes(inner, "api", "worker") == []


@pytest.mark.parametrize("text", ["", "GENTRACE=0", "GENTRACE_SQL=off"])
def test_a_file_that_does_not_ask(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(text)
    assert codes(tmp_path) == ["nothing_seen"]


def test_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GENTRACE=1\n")
    assert codes(tmp_path, environ={"GENTRACE": "0"}) == ["nothing_seen"]
