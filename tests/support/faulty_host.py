"""A program: the small host with a fault in one guard after the other.

``python -m tests.support.faulty_host REDIS_URL FOLDER`` plays a few scenes, each once as it is and
once for every guard that it comes past, with a fault at its beginning or its end. It writes one
JSON line a play: what the host's user saw, and what gentrace swallowed.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support import faults

Scene = Callable[[Any], Awaitable[Any]]


async def a_generation(host: Any) -> Any:
    """From its request to its asset, and what is asked for besides."""
    from arq import cron

    from tests.support.host import ROUTE

    async with host.running():
        created = await host.create("a lighthouse NEVERRENDER")
        again = await host.create("a lighthouse NEVERRENDER")
        host.elsewhere()
        worker = await host.work()
        for job in host.standin.jobs.values():
            job.done_at = 0
        poller = host.module("workers.status_poller").poll_job_statuses
        await host.work(cron_jobs=[cron(poller, month=2, day=29, run_at_startup=True)])
        got = (await host.client.get(f"{ROUTE}/1")).json()
        missing = await host.client.get(f"{ROUTE}/77")
        ran = (worker.jobs_complete, worker.jobs_failed, worker.jobs_retried)
        return [created.status_code, again.json()["id"], got["status"], missing.status_code, ran]


async def a_job_that_the_worker_refuses(host: Any) -> Any:
    """It knows no such function."""

    async def other(ctx: Any) -> None:
        """Asked for by nobody."""

    async with host.running():
        created = await host.create()
        worker = await host.work([other])
        return [created.status_code, worker.jobs_failed]


async def hooks_that_give_up(host: Any) -> Any:
    """The process's record says so, of the second one a little later."""
    from gentrace.runtime import record
    from gentrace.runtime.guard import MAX_FAILURES

    record.EVERY_S = 0.02
    host.session.recorder._written = float("-inf")
    for name in ("one", "another"):
        guard = host.session.engine.guard(name)
        guard.failures, guard.off = MAX_FAILURES - 1, False
        guard.failed(ValueError())
    later = host.session.recorder._later
    if later is not None:
        later.join(5)
    return [host.session.engine.guard(name).gave_up for name in ("one", "another")]


async def a_life_of_the_api(host: Any) -> Any:
    """As a server tells the application of it."""
    app = host.module("main").app
    said = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    told: list[str] = []

    async def receive() -> Any:
        return said.pop(0)

    async def send(message: Any) -> None:
        told.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return told


@contextmanager
def work(host: Any) -> Generator[None]:
    """In a run's work, with a span."""
    from gentrace.runtime import context
    from gentrace.runtime.context import Run, Scope
    from gentrace.runtime.tracing import below

    span = host.session.engine.tracing.start("outer", None, parent=below(None))
    run = Run("1", parent=span.get_span_context())
    token = context.enter(Scope("job", run, "job:x"), span)
    try:
        yield
    finally:
        context.leave(token)
        span.end()


async def a_library_span(host: Any) -> Any:
    """A request and a statement inside a run's work."""
    import aiohttp
    from sqlalchemy import text

    url = host.module("shared.config").settings.provider_base_url
    with work(host):
        async with aiohttp.ClientSession() as session, session.get(url):
            pass
    engine = host.module("infrastructure.database.session").engine
    with work(host):
        try:
            async with engine.connect() as connection:
                return (await connection.execute(text("SELECT 1"))).scalar()
        finally:
            await engine.dispose()


async def what_the_host_logs(host: Any) -> Any:
    """Events that the profile names, by either library."""
    import structlog

    written, log = io.StringIO(), logging.getLogger("pixsim7.faulty")
    handler = logging.StreamHandler(written)
    log.addHandler(handler)
    structured = structlog.wrap_logger(
        structlog.PrintLogger(written),
        [structlog.processors.KeyValueRenderer(key_order=["event", "status"], drop_missing=True)],
        wrapper_class=structlog.BoundLogger,
    )
    try:
        with work(host):
            log.warning("Generation %s queued for processing", 1)
            structured.info("billing_charged", status="charged")
    finally:
        log.removeHandler(handler)
    one, other = written.getvalue().splitlines()
    return [one, other.startswith("event='billing_charged' status='charged'")]


async def a_start(host: Any) -> Any:
    """The process tells of itself, until it is stopped."""
    told = host.session.startup
    told.stop()
    told.after_fork()
    told.begin()
    thread = told._thread
    told.stop()
    thread.join(5)
    told.after_fork()
    return thread.is_alive()


async def spans_for_the_hosts_provider(host: Any) -> Any:
    """Where the host has a provider of its own."""
    from opentelemetry.sdk.trace import TracerProvider

    from gentrace.core.settings import HOST
    from gentrace.runtime.export import place

    tracing, pipeline = host.session.engine.tracing, host.session.pipeline
    own = TracerProvider(shutdown_on_exit=False)
    before = pipeline.settings, place.of_host
    pipeline.settings, place.of_host = replace(pipeline.settings, provider=HOST), lambda: own
    try:
        tracing.start("outer", None).end()
        return tracing.flush(1.0)
    finally:
        pipeline.settings, place.of_host = before


async def a_fork(host: Any) -> Any:
    """A child that leaves at once."""
    reader, writer = os.pipe()
    faults.reached.clear()
    child = os.fork()
    if not child:
        os.write(writer, json.dumps([faults.fired, sorted(faults.reached)]).encode())
        os._exit(7)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])  # noqa: ASYNC222  it has left
    fired, reached = json.loads(os.read(reader, 65536))
    os.close(reader)
    os.close(writer)
    faults.fired += fired
    faults.reached.update(map(tuple, reached))
    return status


async def off_and_on(host: Any) -> Any:
    """The hooks are taken out, the host's names are its own, and put in again."""
    import gentrace
    from gentrace.runtime import startup

    host.session.engine.store.runs.prefetch("1")
    host.session.engine.store.flush(2)
    gentrace.uninstrument()
    creation = host.module("services.generation.creation")
    without = await creation.enqueue_generation_fresh_job(_Pool(), 1)
    gentrace.instrument()
    host.session = startup.session() or host.session
    return [without, await creation.enqueue_generation_fresh_job(_Pool(), 1)]


class _Pool:
    """Stands for ARQ's pool, in which another has enqueued the job."""

    async def set(self, *_given: Any, **_named: Any) -> None:
        """The lease is taken."""


async def a_host_that_instruments_itself(host: Any) -> Any:
    """Its instrumentation wins, and comes out again."""
    from fastapi import FastAPI
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    app = FastAPI()
    FastAPIInstrumentor.instrument_app(app)
    SQLAlchemyInstrumentor().instrument()
    RequestsInstrumentor().instrument()
    seen = [SQLAlchemyInstrumentor().is_instrumented_by_opentelemetry, len(app.routes)]
    FastAPIInstrumentor.uninstrument_app(app)
    SQLAlchemyInstrumentor().uninstrument()
    RequestsInstrumentor().uninstrument()
    return seen


def begin_anew(host: Any) -> None:
    """Hooked as at the beginning, whatever a fault has left."""
    import gentrace
    from gentrace.runtime import notices, startup

    notices.forget()
    if startup.session() is None or host.anew:
        gentrace.uninstrument()
        if host.session.engine.active:
            host.session.uninstall()
        assert gentrace.instrument()
        vars(host).update(session=startup.session(), anew=False)
        host.session.pipeline.exporter = host.exporter
    host.session.process.role = "worker"
    host.session.engine.store.thread.connection._paused_until = 0.0
    host.reset()


SCENES: list[Scene] = [
    a_generation,
    a_job_that_the_worker_refuses,
    hooks_that_give_up,
    a_library_span,
    what_the_host_logs,
    a_start,
    a_life_of_the_api,
    spans_for_the_hosts_provider,
    a_fork,
    a_host_that_instruments_itself,
    off_and_on,
]
LEAVE_TRACES = (off_and_on, a_host_that_instruments_itself)
"""After these everything is hooked anew."""


def play(host: Any, scene: Scene) -> Any:
    """What the host's user sees of a scene."""
    host.anew |= scene in LEAVE_TRACES
    try:
        return asyncio.run(_limited(scene, host))
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"


async def _limited(scene: Scene, host: Any) -> Any:
    return await asyncio.wait_for(scene(host), 20)


def main(url: str, folder: Path) -> None:
    """Plays every scene as it is, then with each fault that is in its way."""
    os.environ.update(
        GENTRACE_REDIS_URL=url, GENTRACE_SPOOL=str(folder / "spool"), OTEL_BSP_SCHEDULE_DELAY="20"
    )
    faults.prepare()
    from gentrace.runtime import notices
    from gentrace.runtime.store import find
    from tests.support.host import hooked

    find.READ_TIMEOUT_S = 5.0  # a busy machine is no missing store
    swallowed: list[str] = []
    notices.on_swallowed.append(lambda where, exc: swallowed.append(f"{where}: {exc!r}"))
    port = int(url.rpartition(":")[2].partition("/")[0])
    with hooked(SimpleNamespace(url=url, port=port), folder) as host:  # pyright: ignore[reportArgumentType]
        done: set[faults.Place] = set()
        vars(host)["anew"] = False
        for scene in SCENES:
            begin_anew(host)
            faults.reached.clear()
            whole = play(host, scene)
            print(json.dumps({"scene": scene.__name__, "seen": whole, "swallowed": swallowed[:3]}))
            for guard, when in sorted(faults.reached - done):
                begin_anew(host)
                swallowed.clear()
                with faults.fault((guard, when)):
                    seen = play(host, scene)
                    fired = faults.fired
                if fired:
                    done.add((guard, when))
                    line = {"scene": scene.__name__, "guard": guard, "when": when, "seen": seen}
                    print(json.dumps({**line, "swallowed": swallowed[:3]}), flush=True)
        begin_anew(host)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
