"""The calls that are measured: each what the host does once, and where it stands when it does it.

Without gentrace the same calls are bare. The order is that of a generation.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

Once = Callable[[], Awaitable[object]]
Around = Callable[[Once], Awaitable[object]]
GENERATION = 1


async def _alone(inside: Once) -> object:
    return await inside()


@dataclass(frozen=True)
class Case:
    """One call.

    Attributes:
        once: makes it.
        around: awaits what it is given where the call belongs: in a job, in a creation.
    """

    name: str
    once: Once
    around: Around = _alone


def cases(stack: AsyncExitStack) -> Iterator[Case]:
    """All of them; what they need is closed with the stack."""
    from bench.micro.hooked import work

    numbers = itertools.count(10)  # of generations

    async def in_a_job(inside: Once) -> object:
        return await work.process(GENERATION, _nothing(inside))

    async def in_a_creation(inside: Once) -> object:
        return await work.create(next(numbers), _nothing(inside))

    async def in_a_poll(inside: Once) -> object:
        return await work.poll(GENERATION, _nothing(inside))

    async def check() -> bool:
        return work.check(7)

    async def compute_hash() -> str:
        return work.compute_hash("h")

    yield Case("any function (async), no generation", lambda: work.check_async(7))
    yield Case("any function (sync), no generation", check)
    yield from _requests()
    yield Case("create", lambda: work.create(next(numbers)))
    yield Case("hash, in a creation", compute_hash, in_a_creation)
    yield Case("dedup lookup, in a creation", lambda: work.find_by_hash("h"), in_a_creation)
    yield Case("cache write, in a creation", lambda: work.store_hash("h"), in_a_creation)
    yield Case("enqueue, in a job", lambda: work.enqueue(GENERATION), in_a_job)
    yield Case("job, called by itself", lambda: work.process(GENERATION, _no_more))
    yield Case("account, in a job", lambda: work.select_account("p"), in_a_job)
    yield Case("account's release, in a job", lambda: work.release_account(7), in_a_job)
    yield Case("credits (async), in a job", lambda: work.check_async(7), in_a_job)
    yield Case("credits (sync), in a job", check, in_a_job)
    yield Case("execute, in a job", lambda: work.submit(GENERATION, "pixverse"), in_a_job)
    adapter = work.Adapter()
    yield Case("adapter, in a job", lambda: adapter.execute("p"), in_a_job)
    yield Case("poll, nothing new", lambda: work.poll(GENERATION))
    yield Case("check_status, in a poll", lambda: work.check_status(GENERATION), in_a_poll)
    yield Case(
        "status, not final, in a job",
        lambda: work.update_status(GENERATION, "processing"),
        in_a_job,
    )
    yield Case("create, and its final status", lambda: _created_and_over(next(numbers)))
    yield Case("cron", work.tick)
    yield from _queue(stack, in_a_job)
    yield from _libraries(stack, in_a_job)


async def _created_and_over(generation_id: int) -> None:
    from bench.micro.hooked import work

    await work.create(generation_id)
    await work.update_status(generation_id, "completed")


def _queue(stack: AsyncExitStack, in_a_job: Around) -> Iterator[Case]:
    """ARQ's own enqueue, and a worker that takes one job and ends; both talk to a real Redis."""
    from arq import Worker, func
    from arq.connections import ArqRedis

    from bench.micro.hooked import work

    async def process(ctx: dict[str, Any], generation_id: int) -> dict[str, str]:
        return await work.process(generation_id, _no_more)

    jobs: Any = ArqRedis.from_url(os.environ["GENTRACE_REDIS_URL"])
    stack.push_async_callback(jobs.aclose)
    function: Any = func(process, name="process", keep_result=0)

    async def enqueue() -> None:
        await jobs.enqueue_job("process", GENERATION, _queue_name="elsewhere", _expires=60)

    async def one_job() -> None:
        await jobs.enqueue_job("process", GENERATION)
        worker = Worker([function], redis_pool=jobs, burst=True, poll_delay=0, handle_signals=False)
        await worker.async_run()

    yield Case("ArqRedis.enqueue_job, in a job", enqueue, in_a_job)
    yield Case("ArqRedis.enqueue_job, and its job in a Worker", one_job)


async def _no_more() -> None:
    return None


def _nothing(inside: Once) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await inside()

    return run


def _requests() -> Iterator[Case]:
    """Requests to an application of two routes, called as a server calls it."""
    import fastapi

    app = fastapi.FastAPI()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/generations")
    async def generations() -> dict[str, str]:
        return {"status": "ok"}

    assert health is not None
    assert generations is not None

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(_message: Any) -> None:
        return

    def request(method: str, path: str) -> Once:
        def once() -> Awaitable[None]:
            asked = {
                "type": "http", "method": method, "path": path, "headers": [(b"host", b"x")],
                "query_string": b"", "http_version": "1.1", "scheme": "http",
                "server": ("x", 80), "client": ("y", 1), "root_path": "",
            }  # fmt: skip
            return app(asked, receive, send)

        return once

    yield Case("request, route not named", request("GET", "/health"))
    yield Case("request, route named", request("POST", "/generations"))


class _NoNetwork:
    """A connection pool of httpx's that answers itself."""

    async def handle_async_request(self, _request: Any) -> Any:
        import httpcore

        return httpcore.Response(200, content=b"{}")


def _libraries(stack: AsyncExitStack, in_a_job: Around) -> Iterator[Case]:
    """A statement, an HTTP request and a log record: in no generation, and in a job."""
    import httpx
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", poolclass=StaticPool)
    connection = stack.enter_context(engine.connect())
    select = text("SELECT 1")

    async def statement() -> None:
        connection.execute(select)

    transport = httpx.AsyncHTTPTransport()
    below: Any = transport
    below._pool = _NoNetwork()  # under what an instrumentation wraps
    client = httpx.AsyncClient(transport=transport)

    async def get() -> None:
        await client.get("http://provider.example/jobs/1")

    logger = logging.getLogger("bench")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())

    async def log() -> None:
        logger.warning("queued %s", "x")

    for name, once in (("SQL statement", statement), ("httpx request", get), ("log record", log)):
        yield Case(f"{name}, no generation", once)
        yield Case(f"{name}, in a job", once, in_a_job)
