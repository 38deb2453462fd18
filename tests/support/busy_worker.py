"""The small host's worker with two more functions: one that is small, and one that counts.

`python -m arq tests.support.busy_worker.SETTINGS`; who sends the jobs, and reads what was counted,
uses `Jobs`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.jobs import Job

WORKER = "tests.support.busy_worker.SETTINGS"
LOOKS = 8
"""So often is counted, and the least of each taken: a cron job may be running."""


class Open(NamedTuple):
    """What a process has open: asyncio tasks, threads, and file descriptors of four kinds.

    The host's pools keep connections to Redis and to its database, more of them after a busier
    time.
    """

    tasks: int
    threads: int
    redis: int
    database: int
    other_sockets: int
    other_fds: int


async def small(_ctx: dict[str, Any], number: int) -> int:
    """Does next to nothing."""
    await asyncio.sleep(0)
    return number


async def count_open(_ctx: dict[str, Any]) -> tuple[int, ...]:
    """Counts in the worker itself; threads as the system sees them."""
    threads = len(os.listdir("/proc/self/task"))
    assert threads >= threading.active_count()
    found = [_target(fd) for fd in os.listdir("/proc/self/fd")]
    sockets = {target for target in found if target.startswith("socket:")}
    redis = len(sockets & _to_redis())
    database = sum(".db" in target for target in found)
    other = len(found) - len(sockets) - database
    tasks = len(asyncio.all_tasks())
    return Open(tasks, threads, redis, database, len(sockets) - redis, other)


def _to_redis() -> set[str]:
    """The sockets of this machine that are connected to ARQ's Redis, as a descriptor names them."""
    port = f":{urlsplit(os.environ['REDIS_URL']).port:04X}"
    with open("/proc/self/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return {f"socket:[{row[9]}]" for row in rows if row[2].endswith(port)}


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""  # the one that listed them


def _settings() -> dict[str, Any]:
    from pixsim7.backend.main.workers.arq_worker import (  # pyright: ignore[reportMissingImports]
        WorkerSettings,
    )

    given = {k: v for k, v in vars(WorkerSettings).items() if not k.startswith("_")}
    return {
        **given,
        "functions": [*given["functions"], small, count_open],
        "poll_delay": 0.05,
        "keep_result": 60,
    }


def __getattr__(name: str) -> Any:
    """The host is imported by the worker only, not by those who send it jobs."""
    if name == "SETTINGS":
        return _settings()
    raise AttributeError(name)


class Jobs:
    """Sends jobs to the worker, and waits for them."""

    def __init__(self, pool: ArqRedis) -> None:
        self._pool = pool

    async def small(self, count: int) -> None:
        """Sends so many, and returns when the last has ended."""
        sent: list[Job] = []
        for number in range(count):
            job = await self._pool.enqueue_job("small", number)
            assert job is not None
            sent.append(job)
        for number, job in enumerate(sent):
            assert await job.result(timeout=300, poll_delay=0.05) == number

    async def open(self) -> Open:
        """What the worker has open when it has nothing to do."""
        seen: list[tuple[int, ...]] = []
        for _ in range(LOOKS):
            job = await self._pool.enqueue_job("count_open")
            assert job is not None
            seen.append(await job.result(timeout=300, poll_delay=0.05))
            await asyncio.sleep(0.2)
        return Open(*(min(each) for each in zip(*seen, strict=True)))


@asynccontextmanager
async def jobs(redis_url: str) -> AsyncGenerator[Jobs]:
    """A pool of one's own to the worker's Redis."""
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    try:
        yield Jobs(pool)
    finally:
        await pool.aclose()
