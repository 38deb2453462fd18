"""The small host of examples/, hooked in this process, with all that it needs beside it.

Redis is a real one, the database a SQLite file, the provider its stand-in behind a real port in a
thread. What would leave the process ends up in a list, scrubbed as for export.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import pkgutil
import sys
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import redis
import uvicorn
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

import gentrace
from gentrace.core import names
from gentrace.runtime import context, startup
from gentrace.runtime.session import Session
from tests.support.waiting import PATIENCE_S
from tools.servers import HOST, RedisServer, free_ports

FOLDER = Path(__file__).parents[2] / "examples" / "small_host"
MAIN = "pixsim7.backend.main"
ROUTE = "/api/v1/generations"


class MemoryExporter:
    """Keeps what was exported."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of that name, as they came."""
        return [span for span in self.spans if span.name == name]

    def shutdown(self) -> None:
        """There is nothing to close."""


@dataclass
class SmallHost:
    """The hooked host; `reset` makes it as good as new, `running` is its API's life."""

    session: Session
    exporter: MemoryExporter
    standin: ModuleType
    server: RedisServer
    folder: Path
    client: httpx.AsyncClient = field(init=False)

    def module(self, name: str) -> Any:
        """A module of the host, by its name below `pixsim7.backend.main`."""
        return importlib.import_module(f"{MAIN}.{name}")

    def reset(self) -> None:
        """No row, no key, no run and no span is left of the test before."""
        for file in self.folder.glob("host.db*"):
            file.unlink()
        self.spans()
        self.elsewhere()
        with self.redis as client:
            client.flushall()
        self.spans()  # a run that was being written: its generation's id comes again
        self.exporter.spans.clear()
        for guard in self.session.engine.guards.values():
            guard.failures, guard.total, guard.off = 0, 0, False
        self.module("workers.status_poller")._next_poll_at.clear()
        self.standin.knobs.render_s = 0.0
        self.standin.knobs.credits = 1000
        for memory in (self.standin.jobs, self.standin.said):
            memory.clear()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """The API between its start and its end, with a client for it."""
        app = self.module("main").app
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as self.client:
                yield

    async def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        """A request, in a task of its own as a server would run it."""
        return await asyncio.create_task(self.client.post(path, json=body, **options))

    async def create(self, prompt: str = "a lighthouse in the rain", **body: Any) -> httpx.Response:
        """Asks for a text_to_video; `config` in `body` adds to the request's config."""
        config = {
            "generationType": "text_to_video",
            "prompt": prompt,
            "style": {"pixverse": {"model": "v5"}},
            **body.pop("config", {}),
        }
        return await self.post(ROUTE, {"provider_id": "pixverse", "config": config, **body})

    async def fail(self, generation_id: int) -> None:
        """Sets the generation's status to failed, as its lifecycle service does."""
        async with self.module("infrastructure.database.session").get_async_session() as db:
            lifecycle = self.module("services.generation.lifecycle").GenerationLifecycleService(db)
            await lifecycle.mark_failed(generation_id, "not today", error_code="provider_generic")

    def elsewhere(self) -> None:
        """From here on it is as in another process: nothing is remembered, the store knows all."""
        store = self.session.engine.store
        store.flush(PATIENCE_S)
        store.runs._asked.clear()
        context.forget_all()

    @property
    def redis(self) -> redis.Redis:
        """A client of the test's own."""
        return redis.Redis(port=self.server.port, decode_responses=True)

    async def work(self, functions: Sequence[Any] = (), **options: Any) -> Any:
        """Runs an ARQ worker until its queue is empty; returns it closed."""
        from arq.worker import Worker

        given: dict[str, Any] = {
            "functions": functions or self.module("workers.arq_worker").WorkerSettings.functions,
            "redis_settings": self.module("infrastructure.redis.client").arq_redis_settings(),
            "burst": True,
            "poll_delay": 0.01,
            "handle_signals": False,
            **options,
        }
        worker = Worker(**given)
        await run(worker)
        return worker

    def spans(self) -> list[ReadableSpan]:
        """What has ended so far, scrubbed, by start; but for runs and the process's own span."""
        assert self.session.engine.store.flush(PATIENCE_S)
        assert self.session.pipeline.force_flush(int(PATIENCE_S * 1000))
        apart = (names.STARTUP, names.RUN)
        spans = [span for span in self.exporter.spans if span.name not in apart]
        return sorted(spans, key=lambda span: span.start_time or 0)

    async def run(self, number: int = 1) -> ReadableSpan:
        """The span of that run (in the order of their ends), which comes when it has settled."""
        await until(lambda: len(self.exporter.named(names.RUN)) >= number)
        return self.exporter.named(names.RUN)[number - 1]

    def named(self, name: str) -> list[ReadableSpan]:
        """The ended spans of that name."""
        return [span for span in self.spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The one ended span of that name."""
        (span,) = self.named(name)
        return span


async def run(worker: Any) -> None:
    """Runs a burst worker to its end and closes it."""
    try:
        await asyncio.wait_for(worker.async_run(), PATIENCE_S)
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # arq closes redis-py's old way
            await worker.close()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes as a plain dict."""
    return dict(span.attributes or {})


async def until(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
    """Waits, polling, for a condition that somebody else makes true."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.005)


@contextmanager
def hooked(server: RedisServer, folder: Path) -> Generator[SmallHost]:
    """Hooks the small host, imports all of it, and takes both away at the end."""
    with _standin() as (standin, url):
        given = {
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'host.db'}",
            "REDIS_URL": server.url,
            "PROVIDER_BASE_URL": url,
            "MEDIA_DIR": str(folder / "media"),
            "AUTO_RETRY_ENABLED": "false",
            "ACCOUNT_WAIT_S": "1",
            "GENTRACE_SPOOL": str(folder / "spool"),
            "GENTRACE_REDIS_URL": server.url,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        }
        logging.getLogger("pixsim7").addHandler(logging.NullHandler())  # it adds no other then
        with _environment(given):
            assert gentrace.instrument()
            package = importlib.import_module(MAIN)
            for found in pkgutil.walk_packages(package.__path__, f"{MAIN}."):
                importlib.import_module(found.name)
        session = startup.session()
        assert isinstance(session, Session)
        session.pipeline.exporter = exporter = MemoryExporter()
        try:
            yield SmallHost(session, exporter, standin, server, folder)
        finally:
            gentrace.uninstrument()
            for name in [name for name in sys.modules if name.partition(".")[0] == "pixsim7"]:
                del sys.modules[name]


@contextmanager
def _standin() -> Generator[tuple[ModuleType, str]]:
    """The provider's stand-in, served by a thread."""
    sys.path.insert(0, str(FOLDER))
    module = importlib.import_module("provider_standin")
    (port,) = free_ports(1)
    config = uvicorn.Config(module.app, host=HOST, port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="provider-standin", daemon=True)
    thread.start()
    end = time.monotonic() + PATIENCE_S
    while not server.started:
        assert thread.is_alive(), "the provider's stand-in did not start"
        assert time.monotonic() < end, "the provider's stand-in did not start"
        time.sleep(0.01)
    try:
        yield module, f"http://{HOST}:{port}"
    finally:
        server.should_exit = True
        thread.join(5)
        sys.path.remove(str(FOLDER))
        del sys.modules["provider_standin"]


@contextmanager
def _environment(given: dict[str, str]) -> Generator[None]:
    """These variables and no gentrace's or OpenTelemetry's of the developer's own."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("GENTRACE", "OTEL_")):
            del os.environ[name]
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
