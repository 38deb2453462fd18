"""Which requests get a SERVER span, and what becomes of the scope that they open."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.propagators.composite import CompositePropagator

from gentrace.core import names
from gentrace.runtime import context, visibility
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.tracing import below
from tests.support.host import ROUTE, SmallHost, attributes


class HostError(Exception):
    """Raised by a route."""


def application() -> FastAPI:
    """Another application, made while FastAPI is instrumented."""
    app = FastAPI()
    app.state.left = []

    @app.get("/fails")
    async def fails() -> None:
        raise HostError("bob@example.com")

    @app.get("/works")
    async def works() -> str:
        async def later() -> Any:
            await asyncio.sleep(0.05)
            return context.current(), context.caller()

        app.state.left.append((context.caller(), asyncio.create_task(later())))
        return "fine"

    @app.post(ROUTE)
    async def create() -> str:
        return trace.get_current_span().get_span_context().trace_id.to_bytes(16).hex()

    return app


async def ask(app: Any, method: str, path: str, *, raises: bool = False) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=raises)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return await asyncio.create_task(client.request(method, path))


async def test_a_route_that_is_not_named_is_silent_unless_it_fails(host: SmallHost) -> None:
    app = application()
    assert (await ask(app, "GET", "/works")).text == '"fine"'
    assert (await ask(app, "GET", "/nowhere")).status_code == 404
    assert host.spans() == []
    assert (await ask(app, "GET", "/fails")).status_code == 500
    (span,) = host.spans()
    assert (span.name, span.kind.name, span.parent) == ("GET /fails", "SERVER", None)
    assert not span.status.is_unset
    assert "bob" not in repr(attributes(span)) + str(span.status.description)


async def test_the_hosts_error_passes_through(host: SmallHost) -> None:
    with pytest.raises(HostError) as raised:
        await ask(application(), "GET", "/fails", raises=True)
    assert str(raised.value) == "bob@example.com"


async def test_a_task_left_behind_is_outside_the_request(host: SmallHost) -> None:
    app = application()
    await ask(app, "GET", "/works")
    ((caller, later),) = app.state.left
    assert caller == "request"
    assert await later == (None, "")


async def test_a_named_route_that_makes_nothing(host: SmallHost) -> None:
    answer = await ask(application(), "POST", ROUTE)
    (span,) = host.spans()
    assert (span.name, span.kind.name) == (f"POST {ROUTE}", "SERVER")
    assert names.GENERATION_ID not in attributes(span)
    assert answer.json() == "0" * 32  # no propagator finds anything to send on


@pytest.mark.parametrize("fails", [False, True])
async def test_a_websocket_is_silent(host: SmallHost, fails: bool) -> None:
    app = FastAPI()
    seen: list[Any] = []

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        seen.append(context.recording())
        if fails:
            raise HostError("not today")
        await socket.send_text("well")
        await socket.close(1011)

    said: list[Any] = []
    told = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}])

    async def receive() -> Any:
        return next(told)

    async def send(message: Any) -> None:
        said.append(message["type"])

    opened = {
        "type": "websocket",
        "path": "/live",
        "raw_path": b"/live",
        "query_string": b"token=secret",
        "headers": [],
        "scheme": "ws",
        "subprotocols": [],
        "server": ("api", 80),
        "client": ("1.2.3.4", 5),
    }
    with pytest.raises(HostError) if fails else nullcontext():
        await app(opened, receive, send)
    assert seen == [None]
    assert said[0] == "websocket.accept"
    assert fails or said[1:] == ["websocket.send", "websocket.close"]
    assert host.spans() == []


async def test_an_application_mounted_in_another_is_one_span(host: SmallHost) -> None:
    outer = FastAPI()
    outer.mount("/api/v1", application())

    @outer.post(ROUTE)
    async def create() -> str:
        return "the outer one"

    await ask(outer, "POST", ROUTE)
    assert len(host.spans()) == 1
    assert context.current() is None


async def test_the_lifespan_flushes_before_the_host_says_that_it_has_ended(
    host: SmallHost,
) -> None:
    from fastapi import FastAPI

    app, sent = FastAPI(), list[str]()
    messages = iter(["lifespan.startup", "lifespan.shutdown"])
    exported: list[int] = []

    async def receive() -> dict[str, str]:
        if sent:
            host.session.engine.tracing.start("last", None).end()
        return {"type": next(messages)}

    async def send(message: Any) -> None:
        sent.append(message["type"])
        exported.append(len(host.exporter.spans))

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert exported == [0, 1]


async def test_a_propagator_that_carries_nothing(
    host: SmallHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`OTEL_PROPAGATORS=none`: requests are answered, and the job still finds its trace."""
    nothing = CompositePropagator([])
    monkeypatch.setattr(propagate, "propagator", nothing)
    await host.create("a harbour")
    await host.work()
    spans = host.spans()
    assert len({span.context.trace_id for span in spans if span.context}) == 1
    assert "process_generation" in {span.name for span in spans}


@pytest.mark.usefixtures("host", "swallowed")
async def test_a_propagator_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(CompositePropagator):
        def extract(self, *args: Any, **kwargs: Any) -> Any:
            raise HostError

    monkeypatch.setattr(propagate, "propagator", Broken([]))
    assert (await ask(application(), "GET", "/works")).status_code == 200


async def test_an_application_mounted_at_the_root_of_another(host: SmallHost) -> None:
    outer = FastAPI()
    outer.mount("/", host.module("main").app)
    transport = httpx.ASGITransport(app=outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        inner, host.client = host.client, client
        try:
            response = await host.create("a mountain")
        finally:
            host.client = inner
    assert response.status_code == 201
    (server,) = [span for span in host.spans() if span.kind.name == "SERVER"]
    assert attributes(server)[names.GENERATION_ID] == str(response.json()["id"])


@types.coroutine
def suspended() -> Generator[None]:
    """A request that waits for ever."""
    yield


def test_a_request_that_is_closed_from_another_context(host: SmallHost) -> None:
    app, opened = FastAPI(), list[Any]()

    @app.get("/waits")
    async def waits() -> None:
        opened.append(context.current())
        await suspended()

    async def unheard(*_: Any) -> Any:
        return

    asked = {"type": "http", "method": "GET", "path": "/waits", "headers": [], "query_string": b""}
    request = app(asked, unheard, unheard)
    contextvars.copy_context().run(request.send, None)  # type: ignore[attr-defined]
    request.close()
    (scope,) = opened
    assert not scope.open
    assert context.inherited() is None


@contextmanager
def on_a_connection(host: SmallHost) -> Generator[Run]:
    """In the context of an earlier request that has not returned yet, with the host's own in it."""
    tracing = host.session.engine.tracing
    span = tracing.start("earlier", None, parent=below(None))
    run = Run("77", parent=span.get_span_context(), server_span=span, owned=True)
    token = otel_context.attach(baggage.set_baggage("tenant", "blue"))
    inner = context.enter(Scope("request", run, "request"), span)
    try:
        yield run
    finally:
        context.leave(inner)
        context.leave(token)
        span.end()


@pytest.mark.parametrize("kind", ["GET", "POST", "websocket", "lifespan"])
async def test_whatever_it_inherits_it_begins_on_its_own(host: SmallHost, kind: str) -> None:
    seen: list[Any] = []

    def look() -> None:
        around = context.inherited()
        seen.append((around and around.run, visibility.at_work(), baggage.get_all()))

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncGenerator[None]:
        look()
        yield

    app = FastAPI(lifespan=life)

    @app.api_route(ROUTE, methods=["GET", "POST"])
    async def answer() -> None:
        look()

    @app.websocket(ROUTE)
    async def live(socket: WebSocket) -> None:
        look()

    message = "lifespan.startup" if kind == "lifespan" else "http.request"

    async def receive() -> Any:
        if kind == "lifespan" and seen:
            return {"type": "lifespan.shutdown"}
        return {"type": message, "body": b""}

    async def send(_message: Any) -> None:
        return

    asked = {
        "type": kind.lower() if kind.islower() else "http", "method": kind, "path": ROUTE,
        "headers": [], "query_string": b"", "root_path": "", "scheme": "http", "state": {},
    }  # fmt: skip
    with on_a_connection(host) as earlier:
        await app(asked, receive, send)
        assert context.current() is not None
    ((run, at_work, carried),) = seen
    assert run is not earlier
    assert carried == {"tenant": "blue"}
    (last,) = [span for span in host.spans() if span.name != "earlier"] or [None]
    if kind == "POST":
        assert last is not None
        assert run.parent == last.context == at_work.get_span_context()
        assert last.parent is None
        assert run.trace_id != earlier.trace_id
    else:
        assert last is None
        assert run is None
        assert at_work is trace.INVALID_SPAN
