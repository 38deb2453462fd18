"""What a generation waits for is told apart while it waits, by the store's records alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from gentrace.analysis import liveness
from gentrace.core.profile import Statuses
from gentrace.core.run.rules import Settling
from gentrace.sources.live_store import LiveStore
from tests.e2e.test_killed import SHORTENED, TIMES
from tests.support.small_host import FOLDER, SmallHost, small_host
from tests.support.waiting import PATIENCE_S

ENV = {
    "GENTRACE": "1",
    "GENTRACE_TEST_TIMES": " ".join(f"{name}={value}" for name, value in TIMES.items()),
    "PYTHONPATH": os.pathsep.join([str(SHORTENED), str(FOLDER)]),
    "ARQ_MAX_JOBS": "1",
    "PROVIDER_TIMEOUT_S": "60",
}
FOR_EVER = {"POLL_INTERVAL_S": "59"}  # twice a minute, and not now


@pytest.fixture(autouse=True)
def _shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "DEAD_AFTER_S", 3.0)
    monkeypatch.setattr(liveness, "QUEUED_S", 1.0)
    monkeypatch.setattr(liveness, "UNPOLLED_S", 6.0)
    monkeypatch.setattr(liveness, "SILENT_S", 2.0)


@pytest.fixture
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The API alone; each test starts its workers."""
    with small_host(ENV, workers=0, failed=anything_failed) as running:
        yield running


@contextmanager
def told(host: SmallHost) -> Generator[Callable[[str, str], liveness.Now]]:
    """Waits until a generation is said to be held up by that."""
    store = LiveStore(host.redis.url, "pixsim7", Settling.of(Statuses()))

    def until(generation_id: str, verdict: str) -> liveness.Now:
        end, seen, run = time.monotonic() + PATIENCE_S, list[str](), store.run(generation_id)
        while time.monotonic() < end:
            run = store.run(generation_id)
            if run is not None:
                now = liveness.what_holds_it(run, store.processes(), time.time())
                if now.verdict == verdict:
                    return now
                if now.verdict not in seen[-1:]:
                    seen.append(now.verdict)
            time.sleep(0.1)
        raise AssertionError(f"{verdict} was not told, but {seen}: {run}, {store.processes()}")

    try:
        yield until
    finally:
        store.close()


def worker(host: SmallHost, **env: str) -> Any:
    started = host.start_worker(env)
    host.wait_ready()
    return started


def test_no_worker_then_one_that_dies(host: SmallHost) -> None:
    with told(host) as until:
        waiting = host.submit("nobody works")
        until(waiting, "worker_not_running")
        at_work = host.submit("NEVERANSWER")
        first = worker(host, ARQ_MAX_JOBS="5")
        until(at_work, "provider_not_responding")  # its submission is not answered
        first.send(signal.SIGKILL)
        now = until(at_work, "worker_died")
        assert "in hand" in now.evidence[0]


def test_a_worker_with_its_hands_full(host: SmallHost) -> None:
    worker(host, **FOR_EVER)
    with told(host) as until:
        host.wait_status(host.submit("NEVERANSWER"), "processing")
        now = until(host.submit("behind it"), "worker_busy")
        assert "1 of 1 jobs in hand" in now.evidence[1]


def test_a_provider_that_renders_and_then_is_silent(host: SmallHost) -> None:
    worker(host)
    with told(host) as until:
        rendering = host.submit("NEVERRENDER")
        now = until(rendering, "provider_still_running")
        assert "processing" in now.evidence[0]
        (standin,) = (program for program in host.programs if program.name == "standin")
        standin.send(signal.SIGSTOP)
        try:
            now = until(rendering, "provider_not_responding")
        finally:
            standin.send(signal.SIGCONT)
        assert "question" in now.evidence[0]


def test_a_poller_that_stopped(host: SmallHost) -> None:
    worker(host, **FOR_EVER)
    with told(host) as until:
        rendering = host.submit("NEVERRENDER")
        now = until(rendering, "poller_not_running")
        assert any("poll_job_statuses" in text for text in now.evidence)
        assert httpx.get(host.url + "/health", trust_env=False).status_code == 200
