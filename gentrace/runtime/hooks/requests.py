"""The API's requests: a scope for each, and a SERVER span for the routes that the profile names.

That span is the root of the generation's trace; an incoming traceparent becomes a link unless the
profile trusts it. Other routes start no span; one that answers 5xx gets a late one. We stand
around the application, which keeps its own middlewares, and are gone with the request.

Observed on: fastapi 0.109 to 0.165, starlette 0.35 to 1.10.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from opentelemetry import trace

from gentrace.runtime import context, process, visibility
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.engine import Engine
from gentrace.runtime.flushing import flush_off_loop
from gentrace.runtime.hooks import host_requests, server_spans
from gentrace.runtime.hooks.instrumentors import BY_HOST
from gentrace.runtime.hooks.routes import Named, Routes
from gentrace.runtime.hooks.server_spans import ServerSpans

Send = Callable[[Any], Any]


class Request:
    """One request, from its arrival to the end of all that the application does in it.

    Attributes:
        answered_ns: when the answer's last byte was sent.
        status: the answer's, once it is known; of a route that is not named only from 500 on.
        error: what the application was failing with when it answered.
    """

    named: Named | None = None
    span: trace.Span | None = None
    token: Any = None
    status = answered_ns = 0
    error: BaseException | None = None
    _baggage: Mapping[str, object] | None = None

    def __init__(self, app: Any, asgi: Mapping[str, Any], named: Named | None) -> None:
        self.app, self.asgi, self.headers = app, asgi, asgi.get("headers")
        self.scope = Scope("request", None, "request", opened_by=self)
        if named is not None:
            self.named = named

    def baggage(self) -> Mapping[str, object]:
        """The baggage in its headers: jobs take it along, the host's own context is left alone."""
        if self._baggage is None:
            self._baggage = server_spans.baggage_in(self.asgi)
        return self._baggage

    def close(self) -> None:
        """Tasks that outlive it keep hold of this, and of nothing more."""
        self.scope.close()
        del self.scope  # it holds this: nothing is left for the garbage collector
        self.app = self.span = self.token = self.error = None
        self.asgi, self.headers = {}, None

    def is_seen_in(self, asgi: Mapping[str, Any]) -> bool:
        """Whether that is this request, on its way to an application mounted in another."""
        return asgi is self.asgi or (
            self.headers is not None and asgi.get("headers") is self.headers
        )


class Requests:
    """Decides about SERVER spans and keeps each request's scope."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.guard = engine.guard("requests")
        self.routes, self.spans = Routes(engine.profile.routes), ServerSpans(engine)

    # -- as it arrives ---------------------------------------------------------------------
    def received(self, app: Any, asgi: Mapping[str, Any]) -> Request | None:
        """A request or a websocket; None for one that an outer application has received."""
        around = context.current()
        outer: Request | None = around.opened_by if around is not None else None
        if outer is not None and outer.is_seen_in(asgi):
            return None
        named = self.routes.match(asgi) if asgi["type"] == "http" else None
        return Request(app, asgi, named)

    def enter(self, request: Request) -> None:
        """Open its scope, and start its span where it gets one."""
        if request.named is not None and not self._is_hosts(request.app):
            request.span = self.spans.start(request.app, request.asgi, request.named)
        if request.span is not None and request.span.get_span_context().is_valid:
            own = request.span.get_span_context()
            run = Run(server_span=request.span, parent=own, began_ns=time.time_ns())
            if request.named is not None and len(request.named.found) == 1:
                run.asked_of = request.named.found[0]  # other processes may have ended its run
                self.engine.store.runs.prefetch(run.asked_of, fresh=True)
            request.scope.run = run
            request.baggage()  # what it makes may outlive it
        request.token = context.enter_request(request.scope, request.span)

    def _is_hosts(self, app: Any) -> bool:
        """Whether the host makes the request's span itself, in the provider that ours go to."""
        if not visibility.is_shared():
            return False
        if host_requests.at_work() or _is_instrumented(app):
            self.engine.libraries["fastapi"] = BY_HOST
            return True
        return False

    # -- as it is answered -----------------------------------------------------------------
    def watched(self, request: Request, send: Send) -> Send:
        """The host's ``send``, which also tells us what the answer is."""
        if request.named is not None:
            return self._noting(request, send)

        def sending(message: Any) -> Any:
            if message["type"] == "http.response.start" and message["status"] >= 500:
                request.status, request.error = message["status"], sys.exception()
            return send(message)

        return sending

    def _noting(self, request: Request, send: Send) -> Send:
        async def sending(message: Any) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                request.status = message["status"]
                request.error = sys.exception() if request.status >= 500 else None
            await send(message)
            if kind in ("http.response.body", "http.response.trailers"):
                request.answered_ns = time.time_ns()

        return sending

    # -- when it is over -------------------------------------------------------------------
    def over(self, request: Request, error: BaseException | None) -> None:
        """Close its scope, and end its span as of the answer's last byte."""
        if request.token is not None:
            context.leave(request.token)
        try:
            self._conclude(request, error)
        finally:
            request.close()

    def _conclude(self, request: Request, error: BaseException | None) -> None:
        span, run = request.span, request.scope.run
        if span is None:
            if request.status >= 500 and not self._is_hosts(request.app):
                at = request.app, request.asgi, request.scope.entered_ns
                self.spans.late(*at, request.status, request.error)
            return
        if request.status:
            server_spans.answered(span, request.status)
        failure = error or request.error
        if failure is not None:
            server_spans.failed(span, failure)
        # it waits for the id where a creation goes on without its request
        waits = run if run is not None and run.owned else None
        self.engine.tracing.end(span, waits, request.answered_ns or None)
        if run is not None and not run.owned:
            run.abandon()


def _is_instrumented(app: Any) -> bool:
    """Whether the application makes SERVER spans: by OpenTelemetry's middleware, or FastAPI's own.

    Source: ``FastAPI._native_telemetry``, fastapi 0.165; ``FastAPIInstrumentor``, 0.66b.
    """
    own: Any = getattr(getattr(app, "_native_telemetry", None), "config", None) or {}
    if own.get("tracing") or getattr(app, "_is_instrumented_by_opentelemetry", False):
        return True
    asgi: Any = sys.modules.get("opentelemetry.instrumentation.asgi")
    theirs = getattr(asgi, "OpenTelemetryMiddleware", None)
    return theirs is not None and any(
        isinstance(middleware.cls, type) and issubclass(middleware.cls, theirs)
        for middleware in getattr(app, "user_middleware", ())
    )


def _flushing(engine: Engine, scope: Any, receive: Any, send: Any) -> tuple[Any, ...]:
    """For a lifespan: the same call, flushing before the host says that it has shut down."""

    async def sending(message: Any) -> None:
        if message.get("type") == "lifespan.startup.complete":
            engine.process.loaded.set()
        if message.get("type") in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            try:
                engine.ending()
            except Exception as exc:
                engine.guard("flush").failed(exc)
            await flush_off_loop(engine)
        await send(message)

    return scope, receive, sending


async def _served(requests: Requests, request: Request, answer: Any) -> None:
    """The request, in its scope, whatever it inherited."""
    try:
        requests.enter(request)
    except Exception as exc:
        requests.guard.failed(exc)
    error: BaseException | None = None
    try:
        await answer
    except BaseException as exc:
        error = exc
        raise
    finally:
        try:
            requests.over(request, error)
        except Exception as exc:
            requests.guard.failed(exc)
        error = None  # it holds this frame


async def _apart(life: Any) -> None:
    """A lifespan, in no scope: what it starts goes on for as long as the process."""
    token = context.enter_nothing()
    try:
        await life
    finally:
        if token is not None:
            context.leave(token)


def install(engine: Engine, module: ModuleType) -> None:
    """Stand around FastAPI's applications, those that have started as well."""
    requests = Requests(engine)

    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if requests.guard.off or len(args) != 3:
            return wrapped(*args, **kwargs)
        request: Request | None = None
        lives = False
        try:
            if not engine.process.role:
                engine.process.become(process.API)
            asgi = args[0]
            lives = asgi["type"] == "lifespan"
            if lives:
                args = _flushing(engine, *args)
            else:
                if not engine.process.loaded.is_set():
                    engine.process.loaded.set()
                request = requests.received(instance, asgi)
                if request is not None:
                    args = (asgi, args[1], requests.watched(request, args[2]))
            requests.guard.passed()
        except Exception as exc:
            requests.guard.failed(exc)
        answer = wrapped(*args, **kwargs)
        if request is not None:
            return _served(requests, request, answer)
        return _apart(answer) if lives else answer

    engine.replace(module.applications.FastAPI, "__call__", call)
