"""A host with nothing to do makes no span, however long its crons tick."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.support.otlp_receiver import receiver
from tests.support.small_host import small_host

TICKS = 8  # one a second
CRONS = ("requeue_pending_generations", "refresh_stale_account_credits", "poll_job_statuses")


def test_a_host_with_nothing_to_do_sends_nothing(anything_failed: Callable[[], bool]) -> None:
    with receiver() as received:
        env = {"GENTRACE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
        with small_host(env, failed=anything_failed) as host:
            worker = host.workers[0]
            for cron in CRONS:
                worker.wait_for(f"cron:{cron}()")
            for path in ("/health", "/api/v1/generations", "/api/v1/accounts", "/nowhere"):
                httpx.get(host.url + path, trust_env=False)
            httpx.get(host.url + "/api/v1/generations/4711", trust_env=False)
            worker.wait_until(
                lambda: worker.text().count("cron:poll_job_statuses()") >= TICKS, "ticks"
            )
            assert [len(program.said()) for program in (host.api, worker)] == [1, 1]
        assert received.spans() == []
        assert received.requests == 0
