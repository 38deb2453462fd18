"""The process's record in the spool: when it is written, and what doctor says of it."""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from gentrace.analysis import doctor
from gentrace.core import settings
from gentrace.report import doctor as report
from gentrace.report import terminal
from gentrace.runtime import record
from gentrace.runtime.guard import MAX_FAILURES
from gentrace.runtime.session import Session
from gentrace.sources import processes
from tests.runtime.conftest import Swallowed
from tests.support.fakehost import fake_profile
from tests.support.host import until


@pytest.fixture
def session(tmp_path: Path) -> Generator[Session]:
    """A session that hooks nothing, of a worker."""
    given = settings.read({"GENTRACE_SPOOL": str(tmp_path), "OTEL_BSP_SCHEDULE_DELAY": "5"})
    session = Session(fake_profile(), given)
    session.process.role = "worker"
    yield session
    session.uninstall()


def give_up(session: Session, name: str) -> None:
    """A hook fails too often."""
    guard = session.engine.guard(name)
    while not guard.off:
        guard.failed(ValueError())


def hooks_off(folder: Path) -> list[list[str]]:
    """What each record in the spool says."""
    return [list(one.record["hooks_off"]) for one in processes.read(folder)]


def written(folder: Path) -> int:
    """How many records there are."""
    return sum(len(path.read_bytes().splitlines()) for path in folder.glob("processes*.jsonl"))


async def test_a_hook_that_gives_up_is_in_the_record_and_doctor_says_so(
    session: Session, tmp_path: Path, swallowed: Swallowed
) -> None:
    give_up(session, "create_generation")
    assert len(swallowed) == MAX_FAILURES
    await until(lambda: hooks_off(tmp_path) == [["create_generation"]])
    found = doctor.of_processes(processes.read(tmp_path))
    (problem,) = [problem for problem in found.problems if problem.code == "hook_off"]
    assert "create_generation kept failing in the worker process" in problem.summary
    assert found.exit_code == 1


async def test_doctor_says_where_spans_go_and_why(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.recorder.write()
    await until(lambda: bool(processes.read(tmp_path)))
    found = doctor.of_processes(processes.read(tmp_path))
    why = "the host has set no tracer provider"
    to = f"the spool {tmp_path}"
    (told,) = report.as_object(found)["processes"]
    assert told["place"] == {"where": "own", "destination": to, "why": why}
    report.print_diagnosis(terminal.console(), found)
    out = " ".join(capsys.readouterr().out.split())
    assert f"spans to {to} {why}" in out


def test_doctor_names_who_calls_a_late_target_unseen() -> None:
    late = {"name": "x", "role": "create", "state": "late", "copies": ["a list in app.jobs"]}
    found = doctor.of_processes([processes.ProcessRecord(True, {"targets": [late]})])
    (problem,) = [problem for problem in found.problems if problem.code == "target_late"]
    assert problem.summary.endswith("unseen call it: a list in app.jobs")


async def test_many_that_give_up_at_once_are_written_together_a_little_later(
    session: Session, tmp_path: Path, swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "EVERY_S", 0.3)
    for name in ("one", "two", "three"):
        give_up(session, name)
    await until(lambda: hooks_off(tmp_path) == [["one", "two", "three"]])
    assert written(tmp_path) == 2


async def test_nothing_is_written_later_once_it_is_over(
    session: Session, tmp_path: Path, swallowed: Swallowed
) -> None:
    give_up(session, "one")
    give_up(session, "two")
    later = [thread for thread in threading.enumerate() if thread.name == "gentrace-record"]
    assert len(later) == 1
    session.uninstall()
    later[0].join(5)
    assert not later[0].is_alive()
    assert hooks_off(tmp_path) == [["one", "two"]]
    (last,) = processes.read(tmp_path)
    assert not last.alive
    assert last.record["copies_left"] == []


async def test_before_the_role_is_known_nothing_is_written(
    session: Session, tmp_path: Path, swallowed: Swallowed
) -> None:
    session.process.role = ""
    give_up(session, "one")
    assert written(tmp_path) == 0
    session.process.become("api")
    await until(lambda: hooks_off(tmp_path) == [["one"]])


async def test_a_record_that_cannot_be_made_stops_no_hook(
    session: Session, swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any) -> None:
        raise OSError

    monkeypatch.setattr(session.process, "record", broken)
    give_up(session, "one")
    assert [where for where, _ in swallowed[-2:]] == ["hook one", "record"]
    monkeypatch.undo()
