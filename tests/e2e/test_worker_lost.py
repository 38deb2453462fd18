"""A worker goes in the middle of a submission: by SIGTERM, by SIGKILL. Its runs end all the same.

ARQ runs the job again under its id; the host skips it, for the generation is in processing. Its
poller fails what was never submitted, and its auto-retry puts that back on the queue.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from gentrace.core.run.times import State
from tests.e2e import reading, run_reading
from tests.e2e.run_reading import RunSpan
from tests.support.otlp_receiver import Span
from tests.support.programs import Program
from tests.support.small_host import FOLDER, SmallHost, small_host

SHORTENED = Path(__file__).parents[1] / "support" / "shortened"
RUNS = "gentrace.runtime.store"
TIMES = {
    "gentrace.runtime.liveness:EVERY_S": 0.5,
    f"{RUNS}.dead:DEAD_AFTER_S": 2,
    f"{RUNS}.dead:AWAY_S": 1,
    f"{RUNS}.store:REGULAR_S": 0.5,
    f"{RUNS}.settle:REGULAR_S": 0.5,
}
HOST = {
    "GENTRACE": "1",
    "GENTRACE_TEST_TIMES": " ".join(f"{name}={value}" for name, value in TIMES.items()),
    "PYTHONPATH": os.pathsep.join([str(SHORTENED), str(FOLDER)]),
    "UNSUBMITTED_TIMEOUT_S": "4",
    "REQUEUE_AFTER_S": "60",
}


@dataclass
class Lost:
    """A generation whose worker went, and the worker."""

    generation_id: str
    pid: int


@dataclass
class Losses:
    """One of each, and what was written of them."""

    lost: dict[str, Lost]
    spans: list[Span]

    def of(self, how: str) -> RunSpan:
        """Its run."""
        (found,) = run_reading.run_spans(self.spans)[self.lost[how].generation_id]
        return found

    def jobs(self, how: str) -> list[Span]:
        """The tries of its job, by start."""
        return self.of(how).named("process_generation")


@pytest.fixture(scope="module")
def losses(anything_failed: Callable[[], bool]) -> Generator[Losses]:
    """A worker stopped and a worker killed while they submit; the next one goes on."""
    with small_host(HOST, failed=anything_failed) as host:
        lost = {
            "stopped": lose(host, signal.SIGTERM),
            "killed": lose(host, signal.SIGKILL),
        }
        wanted = {each.generation_id: 1 for each in lost.values()}

        def told() -> bool:
            spans = reading.spooled(host.spool)
            over = run_reading.spool_has(host.spool, wanted)
            return over and not reading.orphans(spans)

        host.api.wait_until(told, "the runs")
        yield Losses(lost, reading.spooled(host.spool))


def lose(host: SmallHost, how: signal.Signals) -> Lost:
    """Have a submission under way, end its worker, start another and let it go on."""
    (worker,) = host.workers
    host.control(slow_submit_s=60)
    generation_id = host.submit(f"SLOWSUBMIT {how.name}")
    before = len(host.standin_requests())
    host.wait_status(generation_id, "processing")
    worker.wait_until(lambda: submitting(host, before), "submits")
    end(worker, how)
    host.control(slow_submit_s=0.1)
    with Redis.from_url(host.redis.url) as client:  # pyright: ignore[reportUnknownMemberType]
        for key in client.scan_iter("arq:in-progress:*"):
            client.delete(key)  # ARQ would let its time-out pass
    host.start_worker()
    host.wait_final([generation_id])
    return Lost(generation_id, worker.pid)


def submitting(host: SmallHost, before: int) -> bool:
    """Whether the stand-in was asked for a job since."""
    return any(each["path"].endswith("/t2v") for each in host.standin_requests()[before:])


def end(worker: Program, how: signal.Signals) -> None:
    """End it so, and wait until it is gone."""
    worker.send(how)
    worker.wait_until(lambda: not worker.alive, "ends")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_the_run_ends_in_its_trace(losses: Losses, how: str) -> None:
    told = losses.of(how)
    assert told.get("outcome") == "completed"
    assert (told.get("run"), told.get("stage")) == (1, "finished")
    assert (told.get("tries"), told.get("attempts")) == (3, 2)
    assert told.get("requeues") == 0
    assert len(told.span["attributes"]["gentrace.processes"]) >= 3
    assert sum(told.times.values()) == pytest.approx(told.duration_s, abs=1e-6)
    assert told.times[State.PROVIDER_RUN] > 0
    assert len(reading.roots(told.trace)) == 1
    assert reading.orphans(told.trace) == []


def test_a_worker_that_is_stopped_hands_its_job_on(losses: Losses) -> None:
    first, second, third = losses.jobs("stopped")
    outcomes = [j["attributes"]["generation.job.outcome"] for j in (first, second, third)]
    assert outcomes == ["interrupted", "succeeded", "succeeded"]
    assert second["attributes"]["generation.job.status"] == "skipped"
    ids = [j["attributes"]["messaging.message.id"] for j in (first, second, third)]
    assert ids[0] == ids[1] != ids[2]
    assert [j["attributes"]["generation.job.try"] for j in (first, second)] == [1, 2]
    assert third["attributes"]["generation.job.status"] == "submitted"
    assert "gentrace.incomplete" not in losses.of("stopped").span["attributes"]


def test_what_a_killed_worker_had_open_is_written_in_its_place(losses: Losses) -> None:
    told = losses.of("killed")
    jobs = losses.jobs("killed")
    dead = [s for s in told.trace if s["attributes"].get("error.type") == "worker_died"]
    assert {"process_generation", "provider.execute"} >= {s["name"] for s in dead} != set()
    assert jobs[0] in dead
    for span in dead:
        assert span["status"]["code"] == "ERROR"
        assert span["end_ns"] < jobs[1]["start_ns"]
    ids = [j["attributes"]["messaging.message.id"] for j in jobs]
    assert ids[0] == ids[1] != ids[2]
    assert "worker_died" in told.span["attributes"]["gentrace.incomplete"]
