"""What holds a generation up, told from the store's records."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gentrace.analysis import liveness
from gentrace.analysis.liveness import what_holds_it
from gentrace.sources.live_store import LiveProcess, StoredRun

NOW = 1_700_000_000.0


def iso(ago_s: float) -> str:
    return datetime.fromtimestamp(NOW - ago_s, UTC).isoformat().replace("+00:00", "Z")


def stored(state: str, ago_s: float = 30.0, **more: Any) -> StoredRun:
    return StoredRun("7", "ab" * 16, 1, "processing", state, NOW - ago_s, 0.0, **more)


def process(name: str = "w", ago_s: float = 3.0, **given: Any) -> LiveProcess:
    flags = {key: given.pop(key) for key in ("ended", "died") if key in given}
    return LiveProcess(name, NOW - ago_s, **flags, record={"role": "worker", **given})


def jobs(*generation_ids: str) -> dict[str, Any]:
    return {f"j{i}": {"generation_id": i, "function": "process"} for i in generation_ids}


def open_at(instance: str, end_ns: int = 0) -> tuple[str, ...]:
    return () if end_ns else (instance,)


def polled(ago_s: float, **more: Any) -> dict[str, Any]:
    given = {"polls": 4, "last_poll": iso(ago_s), "provider_status": "processing", **more}
    return {"awaited": {"7": given}}


API = LiveProcess("a", NOW - 2, record={"role": "api"})


@pytest.mark.parametrize(
    ("run", "processes", "verdict"),
    [
        (stored("queue"), [API], "worker_not_running"),
        (stored("queue"), [API, process(ended=True)], "worker_not_running"),
        (stored("queue"), [API, process(ago_s=50)], "worker_not_running"),
        (stored("provider_run"), [API, process(ended=True)], "worker_not_running"),
        (stored("queue"), [process(max_jobs=2, jobs=jobs("1", "2"))], "worker_busy"),
        (stored("queue"), [process(max_jobs=2, jobs=jobs("1"))], "running"),
        (stored("queue", 1), [process(max_jobs=1, jobs=jobs("1"))], "running"),
        (
            stored("queue"),
            [process(max_jobs=1, jobs=jobs("1")), process("v", max_jobs=1)],
            "running",
        ),
        (stored("provider_run", 40), [process()], "poller_not_running"),
        (stored("provider_run", 60), [process(**polled(50))], "poller_not_running"),
        (stored("provider_run", 5), [process()], "running"),
        (stored("provider_run", 60), [process(**polled(4))], "provider_still_running"),
        (
            stored("provider_run", 60),
            [process(**polled(50, asking_since=iso(20)))],
            "provider_not_responding",
        ),
        (
            stored("provider_run", 60),
            [process(**polled(50, last_error="ReadTimeout", last_error_at=iso(5)))],
            "provider_not_responding",
        ),
        (
            stored("provider_run", 60),
            [process(**polled(1, last_error="ReadTimeout", last_error_at=iso(5)))],
            "provider_still_running",
        ),
        (stored("provider_submit", 30), [process(jobs=jobs("7"))], "provider_not_responding"),
        (stored("provider_submit", 3), [process(jobs=jobs("7"))], "running"),
        (stored("worker", at_work=open_at("d")), [process("d", 46), process()], "worker_died"),
        (stored("worker", at_work=open_at("d")), [process("d", 70, died=True)], "worker_died"),
        (
            stored("worker", at_work=open_at("d")),
            [process("d", 70, ended=True)],
            "worker_not_running",
        ),
        (
            stored("worker", at_work=open_at("d")),
            [process("d", 46), process(jobs=jobs("7"))],
            "running",
        ),
        (stored("queue", at_work=open_at("d", 5)), [process("d", 46), process()], "running"),
        (stored("worker"), [process("d", 46, jobs=jobs("7")), process()], "worker_died"),
        (
            stored("unexplained", incomplete=["worker_died"], processes=["a", "d"]),
            [process("d", 80, died=True), process()],
            "worker_died",
        ),
        (stored(""), [process()], "running"),
    ],
)
def test_what_holds_it_up(run: StoredRun, processes: list[LiveProcess], verdict: str) -> None:
    told = what_holds_it(run, processes, NOW)
    assert told.verdict == verdict
    assert all(told.evidence)


def test_a_poller_that_stopped_is_told_with_the_crons() -> None:
    crons = {"poll": {"ticks": 3, "last_tick": iso(90), "last_error": "OSError"}}
    told = what_holds_it(stored("provider_run", 100), [process(crons=crons)], NOW)
    assert told.verdict == liveness.NOT_POLLED
    assert "poll ticked 90 s ago, and failed with OSError" in told.evidence


def test_damaged_records_are_no_fault() -> None:
    broken = process(jobs=5, crons=[1], awaited={"7": "no"}, max_jobs="many")
    run = stored("provider_run", 60)
    assert what_holds_it(run, [broken], NOW).verdict == "poller_not_running"
