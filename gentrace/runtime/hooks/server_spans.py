"""The SERVER span of a request, with the attributes that OpenTelemetry's own has.

It is made for a route that the profile names, as of the request; for another one only once it has
answered 5xx. Nobody finds it as a current span: the host's own instrumentation sees the request
as it would without us. No header of an answer is touched.

Observed on: fastapi 0.109 to 0.165, opentelemetry-instrumentation-fastapi and -asgi 0.66b.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.trace import SpanKind, Status, StatusCode

from gentrace.core import names
from gentrace.runtime import notices
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks import routes
from gentrace.runtime.hooks.routes import Named
from gentrace.runtime.telling import type_name
from gentrace.runtime.tracing import link

_FASTAPI = "opentelemetry.instrumentation.fastapi"


class ServerSpans:
    """Makes them, out of what an ASGI scope says."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tracer: trace.Tracer | None = None

    def _made_by(self) -> trace.Tracer:
        """The tracer of OpenTelemetry's instrumentation, whose spans these are like."""
        if self._tracer is None:
            from opentelemetry.instrumentation.fastapi.version import __version__

            self._tracer = self._engine.tracing.provider.get_tracer(_FASTAPI, __version__)
        return self._tracer

    def start(self, app: Any, asgi: Mapping[str, Any], named: Named) -> trace.Span | None:
        """The span of a request for that route; None where its application has another for it."""
        if not is_http_instrumentation_enabled() or _is_excluded(asgi):
            return None
        name, route, attributes = _described(app, asgi)
        if not routes.is_of(named, route, asgi["path"]):
            return None
        if route is not None and routes.plain(route) != routes.plain(named.path):
            name = f"{asgi['method']} {named.path}"  # its application is mounted in this one
            attributes["http.route"] = named.path
        arrived = _incoming(asgi)
        incoming = trace.get_current_span(arrived).get_span_context()
        trusted = self._engine.profile.trust_incoming and incoming.is_valid
        links = [link(incoming, names.LINK_INCOMING)] if incoming.is_valid else []
        return self._made_by().start_span(
            name,
            context=arrived if trusted else otel_context.Context(),
            kind=SpanKind.SERVER,
            attributes=attributes,
            links=[] if trusted else links,
        )

    def late(
        self,
        app: Any,
        asgi: Mapping[str, Any],
        began_ns: int,
        status: int,
        error: BaseException | None,
    ) -> None:
        """The span of a request that is over and was answered 5xx."""
        name, _, attributes = _described(app, asgi)
        span = self._made_by().start_span(
            name,
            context=otel_context.Context(),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=began_ns,
        )
        answered(span, status)
        if error is not None:
            span.set_attribute(names.ERROR_TYPE, type_name(type(error)))
        span.set_status(Status(StatusCode.ERROR))
        span.end()


def answered(span: trace.Span, status: int) -> None:
    """Put the answer's status on the span, by the convention that the host has chosen."""
    from opentelemetry.instrumentation.asgi import set_status_code

    set_status_code(span, status, None, _conventions())


def failed(span: trace.Span, error: BaseException) -> None:
    """Put the exception on the span that the request failed with."""
    if not span.is_recording():
        return
    span.record_exception(error)
    said = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else None
    if said is not None:
        span.set_status(Status(StatusCode.ERROR, said))


def baggage_in(asgi: Mapping[str, Any]) -> Mapping[str, object]:
    """The baggage in a request's headers, as the host's propagators read it."""
    return baggage.get_all(_incoming(asgi)) if asgi.get("headers") else {}


def _described(app: Any, asgi: Mapping[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """A request's span name, its route's template and its attributes."""
    from opentelemetry.instrumentation.asgi import collect_request_attributes
    from opentelemetry.instrumentation.fastapi import (
        _get_default_span_details,  # pyright: ignore[reportPrivateUsage]
    )

    seen = {**asgi, "app": app}
    if getattr(app, "root_path", ""):
        seen["root_path"] = app.root_path
    name, attributes = _get_default_span_details(seen)
    found: dict[str, Any] = {**collect_request_attributes(seen, _conventions()), **attributes}
    return name, attributes.get("http.route"), found


def _conventions() -> Any:
    from opentelemetry.instrumentation import _semconv

    chosen: Any = _semconv._OpenTelemetrySemanticConventionStability
    chosen._initialize()
    return chosen._get_opentelemetry_stability_opt_in_mode(
        _semconv._OpenTelemetryStabilitySignalType.HTTP
    )


def _is_excluded(asgi: Mapping[str, Any]) -> bool:
    """Whether ``OTEL_PYTHON_FASTAPI_EXCLUDED_URLS`` names the request."""
    from opentelemetry.instrumentation.asgi import get_host_port_url_tuple
    from opentelemetry.util.http import get_excluded_urls

    excluded = get_excluded_urls("FASTAPI")
    return bool(excluded and excluded.url_disabled(get_host_port_url_tuple(asgi)[2]))


def _incoming(asgi: Mapping[str, Any]) -> otel_context.Context:
    """What the request's headers carry; nothing where a propagator gives nothing or fails."""
    from opentelemetry.instrumentation.asgi import asgi_getter

    empty = otel_context.Context()
    try:
        headers: dict[str, Any] = {"headers": asgi["headers"]}
        found: Any = propagate.extract(headers, context=empty, getter=asgi_getter)
    except Exception as exc:
        notices.swallowed("hook propagators", exc)
        return empty
    return found or empty
