"""A worker that has run a thousand jobs has no more open than after its first hundred."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.busy_worker import WORKER, jobs
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.programs import BIN, ROOT
from tests.support.small_host import FOLDER, small_host

FEW, MANY, SPARE = 100, 1000, 10
ARQ = (str(BIN / "python"), "-m", "arq", WORKER)


@pytest.mark.parametrize("sends", [False, True], ids=["spool", "otlp"])
async def test_a_thousand_jobs_leave_nothing_open(
    sends: bool, anything_failed: Callable[[], bool], tmp_path: Path, otlp_receiver: OtlpReceiver
) -> None:
    env = {"GENTRACE": "1", "PYTHONPATH": os.pathsep.join((str(FOLDER), str(ROOT)))}
    if sends:
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] = otlp_receiver.http_endpoint
    with small_host(env, workers=0, failed=anything_failed) as host:
        worker = host.start_worker(command=ARQ)
        host.wait_ready()
        async with jobs(host.redis.url) as sender:

            async def run(count: int, generations: int) -> None:
                ids = host.submit_all([{}] * generations)
                await sender.small(count - generations)
                assert {g["status"] for g in host.wait_final(ids)} == {"completed"}

            await run(FEW, 10)
            first = await sender.open()
            await run(MANY - FEW, 40)
            last = await sender.open()
        assert len(worker.said()) == 1, worker.text()
    # the host's own pools may have opened a few more connections at a busier moment
    assert (last.tasks, last.other_fds) == (first.tasks, first.other_fds)
    assert last.threads - first.threads <= max(0, last.database - first.database)
    assert last.redis - first.redis < SPARE
    assert last.other_sockets - first.other_sockets <= 1
