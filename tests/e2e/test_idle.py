"""A host with nothing to do makes no span, and asks little of Redis, however long its crons tick.

By hand for a minute, with the crons at the host's own rates: ``GENTRACE_TEST_IDLE_S=60 pytest -s``.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager

import httpx
from redis import Redis

from tests.support.otlp_receiver import receiver
from tests.support.small_host import SmallHost, small_host

IDLE_S = float(os.environ.get("GENTRACE_TEST_IDLE_S", "0"))
TICKS = 8  # one a second
CRONS = ("requeue_pending_generations", "refresh_stale_account_credits", "poll_job_statuses")
A_MINUTE = 80
"""More commands of ours than that a minute and process is no idling."""
PATHS = ("/health", "/api/v1/generations", "/api/v1/accounts", "/nowhere")


def test_a_host_with_nothing_to_do_sends_nothing(anything_failed: Callable[[], bool]) -> None:
    with receiver() as received:
        env = {"GENTRACE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
        if IDLE_S:
            env["POLL_INTERVAL_S"] = "2"
        with small_host(env, failed=anything_failed) as host:
            worker = host.workers[0]
            for cron in CRONS:
                worker.wait_for(f"cron:{cron}()")
            with counted(host) as commands:
                begun = time.monotonic()
                for path in (*PATHS, "/api/v1/generations/4711"):
                    httpx.get(host.url + path, trust_env=False)
                ticks = worker.text().count("cron:poll_job_statuses()")
                worker.wait_until(
                    lambda: (
                        worker.text().count("cron:poll_job_statuses()") >= ticks + TICKS
                        and time.monotonic() - begun >= IDLE_S
                    ),
                    "ticks",
                    60 + IDLE_S,
                )
                lasted_s = time.monotonic() - begun
            assert [len(program.said()) for program in (host.api, worker)] == [1, 1]
        assert received.spans() == []
        assert received.requests == len(received.startups()) == 2  # each process, once
    rate = sum(commands.values()) * 60 / lasted_s / 2
    print(f"{rate:.0f} commands a minute and process: {dict(commands)} in {lasted_s:.0f} s")
    assert rate < A_MINUTE


@contextmanager
def counted(host: SmallHost) -> Generator[Counter[str]]:
    """The commands on our keys in that time, by their names."""
    found: Counter[str] = Counter()
    ready, stop = threading.Event(), threading.Event()

    def listen() -> None:
        with Redis.from_url(host.redis.url) as client, client.monitor() as monitor:  # pyright: ignore[reportUnknownMemberType]
            ready.set()
            while not stop.is_set():
                command = str(monitor.next_command()["command"])
                if "gentrace:" in command or command.startswith("INFO"):
                    found[command.split(" ")[0]] += 1

    thread = threading.Thread(target=listen)
    thread.start()
    assert ready.wait(10)
    try:
        yield found
    finally:
        stop.set()
        with Redis.from_url(host.redis.url) as client:  # pyright: ignore[reportUnknownMemberType]
            client.ping()  # so that it sees that it should stop
        thread.join(10)
