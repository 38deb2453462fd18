"""Work that a generation gives to another thread: its spans and log ids, and nothing elsewhere."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import contextvars
import functools
import logging
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.trace import format_span_id, format_trace_id

from gentrace.core import profile, settings
from gentrace.runtime import ambient, context
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.hooks import http_clients, logs, threads
from gentrace.runtime.session import Session
from gentrace.runtime.tracing import below
from tests.support.host import MemoryExporter

PROFILE = 'name = "shop"\npackages = ["shop_of_these_tests"]\ntargets = []\n'
Way = Callable[[Callable[[], Any]], Any]


class World:
    """Threads, requests and logging hooked; the generation at work."""

    def __init__(self, session: Session, exporter: MemoryExporter) -> None:
        self.session, self.exporter = session, exporter
        self.run, self.scope = Run("7"), Scope("job")

    @contextmanager
    def generation(self) -> Generator[trace.SpanContext]:
        """Its work, with a span."""
        span = self.session.engine.tracing.start("work", None, parent=below(None))
        self.run = Run("7", parent=span.get_span_context())
        self.scope = Scope("job", self.run)
        token = context.enter(self.scope, span)
        try:
            yield span.get_span_context()
        finally:
            context.leave(token)
            self.scope.close()
            span.end()


@pytest.fixture
def by_nobody() -> Generator[None]:
    """Another session of this process may have instrumented requests: not while these tests run."""
    instrumentor: Any = RequestsInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        yield
        return
    hooked = requests.Session.send
    instrumentor.uninstrument()
    yield
    requests.Session.send = hooked
    instrumentor._is_instrumented_by_opentelemetry = True


@pytest.fixture
def world(tmp_path: Path, by_nobody: None) -> Generator[World]:
    """As a session hooks them, and unhooked again."""
    given = {"GENTRACE_SPOOL": str(tmp_path / "spool"), "OTEL_BSP_SCHEDULE_DELAY": "5"}
    before = (vars(threading.Thread)["start"], vars(ThreadPoolExecutor)["submit"])
    session = Session(profile.parse(PROFILE, "test")[0], settings.read(given))
    session.pipeline.exporter = exporter = MemoryExporter()
    session.process.role = "worker"
    for module in (threading, concurrent.futures.thread):
        threads.install(session.engine, module)
    logs.install(session.engine, logging)
    http_clients.install(session.engine, requests)
    yield World(session, exporter)
    session.uninstall()
    assert (vars(threading.Thread)["start"], vars(ThreadPoolExecutor)["submit"]) == before


@pytest.fixture
def url() -> Generator[str]:
    """A server of the provider's."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/render"
        server.shutdown()
        serving.join()


def by_submit(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def by_map(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return next(iter(pool.map(lambda _: work(), [1])))


def by_executor(work: Callable[[], Any]) -> Any:
    async def soon() -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, work)

    return asyncio.run(soon())


def by_to_thread(work: Callable[[], Any]) -> Any:
    return asyncio.run(asyncio.to_thread(work))


def by_thread(work: Callable[[], Any]) -> Any:
    given: Future[Any] = Future()
    thread = threading.Thread(target=lambda: given.set_result(work()))
    thread.start()
    thread.join()
    return given.result()


def by_timer(work: Callable[[], Any]) -> Any:
    given: Future[Any] = Future()
    timer = threading.Timer(0, lambda: given.set_result(work()))
    timer.start()
    timer.join()
    return given.result()


def by_its_own_kind(work: Callable[[], Any]) -> Any:
    class Worker(threading.Thread):
        def run(self) -> None:
            self.given = work()

    worker = Worker()
    worker.start()
    worker.join()
    assert "run" not in vars(worker)
    return worker.given


WAYS = [by_submit, by_map, by_executor, by_to_thread, by_thread, by_timer, by_its_own_kind]
every = pytest.mark.parametrize("way", WAYS)


@every
def test_a_synchronous_client_in_a_thread(world: World, url: str, way: Way) -> None:
    records: list[Any] = []
    keeping: Any = logging.Handler()
    keeping.emit = records.append
    logger = logging.getLogger("shop_of_these_tests")
    logger.addHandler(keeping)

    def work() -> int:
        logger.warning("rendering")
        return requests.get(url, timeout=10).status_code

    with world.generation() as at:
        assert way(work) == 204
        assert ambient.current_span().get_span_context() == at
    assert world.session.pipeline.force_flush(5000)
    (call,) = [span for span in world.exporter.spans if span.name == "GET"]
    assert call.context is not None
    assert call.parent is not None
    assert (call.context.trace_id, call.parent.span_id) == (at.trace_id, at.span_id)
    (record,) = records
    assert record.trace_id == format_trace_id(at.trace_id)
    assert record.span_id == format_span_id(at.span_id)
    logger.removeHandler(keeping)


@every
def test_outside_a_generation_nothing_goes_along(world: World, url: str, way: Way) -> None:
    key = otel_context.create_key("theirs")

    def work() -> tuple[object, int]:
        got = requests.get(url, timeout=10).status_code
        return otel_context.get_value(key), got

    token = otel_context.attach(otel_context.set_value(key, "theirs"))
    try:
        assert way(work) == ("theirs" if way is by_to_thread else None, 204)
    finally:
        otel_context.detach(token)
    assert world.session.pipeline.force_flush(5000)
    assert world.exporter.spans == []


def test_a_pools_thread_is_nobodys(world: World) -> None:
    """What is given to it later, by somebody else, is not the first one's work."""

    def at_work() -> object:
        return context.current(), ambient.current_span().get_span_context().is_valid

    with ThreadPoolExecutor(1) as pool:
        with world.generation():
            assert pool.submit(at_work).result() == (world.scope, True)
            nested = pool.submit(threading.current_thread).result()
        assert pool.submit(at_work).result() == (None, False)
        assert "run" not in vars(nested)


def test_what_brings_its_context_is_not_wrapped(world: World) -> None:
    submit = threads.ThreadHooks(world.session.engine).submit
    own = contextvars.copy_context()

    def given_on(function: Any) -> Any:
        return submit(lambda given: given, None, (function,), {})

    with world.generation():
        for function in (own.run, functools.partial(own.run, int), functools.partial(own.run)):
            assert given_on(function) is function
        assert given_on(int) is not int
    assert given_on(int) is int


@every
def test_errors_are_the_hosts_own(world: World, way: Way) -> None:
    if way in (by_thread, by_timer, by_its_own_kind):
        return  # nobody is told
    error = ValueError("no")

    def fail() -> None:
        raise error

    with world.generation(), pytest.raises(ValueError, match="no") as raised:
        way(fail)
    assert raised.value is error


def test_wrong_calls_raise_as_without_us(world: World) -> None:
    thread = threading.Thread(target=int)
    with world.generation(), ThreadPoolExecutor(1) as pool:
        with pytest.raises(TypeError):
            vars(ThreadPoolExecutor)["submit"](pool)
        thread.start()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
    thread.join()
    assert "run" not in vars(thread)


def test_a_hosts_instrumentation_of_threading_is_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instrumentor = SimpleNamespace(is_instrumented_by_opentelemetry=True)
    contrib: Any = SimpleNamespace(ThreadingInstrumentor=lambda: instrumentor)
    monkeypatch.setitem(threads.sys.modules, "opentelemetry.instrumentation.threading", contrib)
    with world.generation():
        assert by_submit(context.current) is None  # the stand-in carries nothing
        assert by_thread(context.current) is None
    instrumentor.is_instrumented_by_opentelemetry = False
    with world.generation():
        assert by_submit(context.current) is world.scope


def test_a_failure_of_ours_costs_the_context_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch, swallowed: list[Any]
) -> None:
    def fail(*_: object) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(threads, "_done_by_host", fail)
    with world.generation():
        assert by_submit(lambda: 1) == 1
        assert by_thread(lambda: 1) == 1
    assert len(swallowed) == 3  # the pool starts a thread, too
