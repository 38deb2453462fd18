"""The API's requests, through opentelemetry-instrumentation-fastapi.

The routes that the profile names get a SERVER span, the root of the generation's trace; an
incoming traceparent becomes a link unless the profile trusts it. Other routes start no span; one
that answers 5xx gets a late one. The ASGI send and receive spans are off.

Observed on: fastapi 0.109 to 0.165, opentelemetry-instrumentation-fastapi 0.66b.
"""

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import Span, SpanKind

from gentrace.core import names
from gentrace.runtime import ambient, context, copies, process
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.engine import Engine
from gentrace.runtime.flushing import flush_off_loop
from gentrace.runtime.held_span import HeldSpan
from gentrace.runtime.hooks import host_requests, unseen
from gentrace.runtime.hooks.applications import Applications
from gentrace.runtime.hooks.instrumentors import (
    BY_HOST,
    NO_CONTEXT,
    once_complete,
    see_to_extract,
    step_back_from_apps,
    use,
)
from gentrace.runtime.tracing import GatedTracer, GatedTracerProvider, link

_opened: ContextVar[list[Scope]] = ContextVar("gentrace.requests.opened")
STARTED_BEFORE = "an application that had started before us is not traced"
_STATUS_CODES = ("http.status_code", "http.response.status_code")


class LateSpan(HeldSpan):
    """Stands for the SERVER span of a route that is not traced: nothing, unless it answers 5xx."""

    def __init__(self, tracer: GatedTracer, name: str, attributes: dict[str, Any]) -> None:
        super().__init__(name, attributes)
        self._tracer, self._start_ns = tracer, time.time_ns()
        self.kind = SpanKind.SERVER

    def end(self, end_time: int | None = None) -> None:
        if self._over:
            return
        self._over = True
        code = next((self._attributes[n] for n in _STATUS_CODES if n in self._attributes), 0)
        if not isinstance(code, int) or code < 500:
            return
        span = self._tracer.real().start_span(
            self._name,
            context=otel_context.Context(),
            kind=SpanKind.SERVER,
            attributes=self._attributes,
            start_time=self._start_ns,
        )
        span.set_status(trace.Status(trace.StatusCode.ERROR))
        span.end(end_time)

    def get_span_context(self) -> trace.SpanContext:
        return trace.INVALID_SPAN_CONTEXT

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self._attributes.setdefault(names.ERROR_TYPE, type(exception).__qualname__)


class Requests:
    """Decides about SERVER spans and opens the request's scope."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.guard = engine.guard("requests")
        self.provider = GatedTracerProvider(engine.tracing, self.decide)
        self.options: dict[str, Any] = {
            "exclude_spans": ["receive", "send"],
            "server_request_hook": self.entered,
        }
        self._routes = {
            (r.method.upper(), _plain(r.path.rstrip("/"))) for r in engine.profile.routes
        }
        self._named_in_path = [_pattern(path) for _, path in self._routes if path.count("{") == 1]

    def see_to(self, app: Any) -> None:
        """An application made of a FastAPI that was imported before us is instrumented late."""
        if getattr(app, "_is_instrumented_by_opentelemetry", False):
            return
        if self.engine.libraries.get("fastapi") in (BY_HOST, NO_CONTEXT):
            return
        if app.middleware_stack is not None:  # its middlewares would be made anew
            self.engine.libraries["fastapi"] = STARTED_BEFORE
            return
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=self.provider,
            meter_provider=NoOpMeterProvider(),
            **self.options,
        )

    def decide(
        self,
        tracer: GatedTracer,
        name: str,
        parent: Any = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        *_more: Any,
        **_options: Any,
    ) -> Span | None:
        """The SERVER span of a request, or a late one; None for what is no request's span."""
        if not self.engine.active:
            return trace.INVALID_SPAN  # an application that outlived our hooks
        given: dict[str, Any] = dict(attributes or {})
        method = given.get("http.request.method") or given.get("http.method")
        if method is None and not given.get("http.route") and not given.get("http.scheme"):
            return None
        if context.recording() is not None:
            # an application mounted in another: one SERVER span
            return trace.NonRecordingSpan(ambient.current_span().get_span_context())
        if not self._named(str(method).upper(), given):
            return LateSpan(tracer, name, given)
        incoming = trace.get_current_span(parent).get_span_context()
        if self.engine.together() and host_requests.at_work():
            return trace.NonRecordingSpan(incoming)  # the host's own is the generation's root
        trusted = self.engine.profile.trust_incoming and incoming.is_valid
        trusted = trusted and (incoming.is_remote or not ambient.apart())
        return tracer.real().start_span(
            name,
            context=parent if trusted else otel_context.Context(),
            kind=SpanKind.SERVER,
            attributes=given,
            links=[link(incoming, names.LINK_INCOMING)]
            if incoming.is_valid and not trusted
            else None,
            start_time=start_time,
        )

    def _named(self, method: str, attributes: dict[str, Any]) -> bool:
        route = attributes.get("http.route")
        if isinstance(route, str) and (method, _plain(route.rstrip("/"))) in self._routes:
            return True
        path = attributes.get("url.path") or attributes.get("http.target")
        return isinstance(path, str) and (method, path.partition("?")[0]) in self._routes

    def entered(self, span: Span, asgi: Any) -> None:
        """The request is about to reach the host: open its scope (left with the request)."""
        if self.guard.off:
            return
        try:
            self._enter(span, asgi)
            self.guard.passed()
        except Exception as exc:
            self.guard.failed(exc)

    def _enter(self, span: Span, asgi: Any) -> None:
        if context.current() is not None:
            return  # an application mounted in another
        span = ambient.real(span)
        if isinstance(span, trace.NonRecordingSpan):
            return  # its root is the host's span, which the creation takes
        own = span.get_span_context()
        run: Run | None = None
        if not isinstance(span, LateSpan) and own.is_valid:
            run = Run(server_span=span, parent=own, began_ns=time.time_ns())
            run.asked_of = self._look_up(str(asgi.get("path", "")))
        scope = Scope("request", run, "request")
        _opened.get().append(scope)
        if not ambient.apart():
            context.enter(scope)  # the instrumentation has made the span current
            return
        recorded = run.server_span if run is not None else None
        context.enter(scope, recorded, otel_context.Context(), theirs=unseen.outside.get(None))

    def _look_up(self, path: str) -> str:
        """The generation that the path names, if any: other processes may have ended its run."""
        for pattern in self._named_in_path:
            found = pattern.fullmatch(path)
            if found is not None:
                self.engine.store.runs.prefetch(found[1], fresh=True)
                return found[1]
        return ""


def _plain(route: str) -> str:
    """A route without the types of its parameters: ``{order_id:int}`` is ``{order_id}``."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", route)


def _pattern(route: str) -> re.Pattern[str]:
    before, _, after = route.partition("{")
    return re.compile(f"{re.escape(before)}([^/]+){re.escape(after.partition('}')[2])}/?")


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


async def _closing(request: Any) -> None:
    """The request, whose scope is closed when it is over, whatever became of its span."""
    opened: list[Scope] = []
    tokens = _opened.set(opened), ambient.keep()
    try:
        await request
    finally:
        context.leave(tokens)
        for scope in opened:
            scope.close()
            if scope.run is not None and scope.run.generation_id is None:
                scope.run.abandon()


def install(engine: Engine, module: ModuleType) -> None:
    """Give FastAPI its instrumentation, with our provider."""
    requests = Requests(engine)
    owner = module.applications.FastAPI

    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if requests.guard.off or len(args) != 3:
            return wrapped(*args, **kwargs)
        try:
            engine.process.become(process.API)
            requests.see_to(instance)
            if args[0].get("type") == "lifespan":
                args = _flushing(engine, *args)
            else:
                engine.process.loaded.set()
        except Exception as exc:
            requests.guard.failed(exc)
        request = wrapped(*args, **kwargs)
        return request if args[0].get("type") == "lifespan" else _closing(request)

    engine.replace(owner, "__call__", call)
    once_complete(engine, "fastapi", lambda: _instrument(engine, module, requests))


def _instrument(engine: Engine, module: ModuleType, requests: Requests) -> None:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    unseen.tell_apart(engine, requests.guard)
    step_back_from_apps(engine, FastAPIInstrumentor)
    see_to_extract(engine)
    apps = Applications()
    used = use(
        engine,
        "fastapi",
        FastAPIInstrumentor(),
        requests.provider,
        apps.give_back,
        **requests.options,
    )
    if used:
        names = {id(module.FastAPI): module.applications.FastAPI}
        engine.undo.append(lambda: copies.give_back(names, engine.profile.packages))
        engine.undo.append(apps.note)  # what is appended last is undone first
