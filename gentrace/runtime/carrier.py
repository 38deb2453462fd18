"""The trace context in the serialised ARQ job: one extra key, the propagator's fields in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

KEY = "gentrace"
_TRACE_CONTEXT = TraceContextTextMapPropagator()
_MAX_FIELDS = 8
_MAX_VALUE = 8192

outgoing: ContextVar[dict[str, str] | None] = ContextVar("gentrace.carrier.outgoing", default=None)
incoming: ContextVar[dict[str, str] | None] = ContextVar("gentrace.carrier.incoming", default=None)


def inject(span: trace.Span) -> dict[str, str]:
    """The propagator's fields for a job enqueued under that span."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context=trace.set_span_in_context(span))
    if not carrier:  # OTEL_PROPAGATORS=none is about requests; a job still needs its trace
        _TRACE_CONTEXT.inject(carrier, context=trace.set_span_in_context(span))
    return {name: value for name, value in carrier.items() if len(value) <= _MAX_VALUE}


def extract(carrier: Mapping[str, str] | None) -> trace.SpanContext | None:
    """The span that the job was enqueued under, or None where the carrier names none."""
    if not carrier:
        return None
    for read in (propagate.extract, _TRACE_CONTEXT.extract):
        found = read(carrier, context=otel_context.Context())
        span_context = trace.get_current_span(found).get_span_context()
        if span_context.is_valid:
            return span_context
    return None


def checked(value: Any) -> dict[str, str] | None:
    """A carrier out of a job's payload, if it has the shape of one."""
    if not isinstance(value, dict) or len(value) > _MAX_FIELDS:  # pyright: ignore[reportUnknownArgumentType]
        return None
    items: list[tuple[Any, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    if not all(
        isinstance(k, str) and isinstance(v, str) and len(v) <= _MAX_VALUE for k, v in items
    ):
        return None
    return dict(items)


def adding(serializer: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A serializer that puts the outgoing carrier into the job, or leaves it out if refused."""

    def serialize(data: Any) -> bytes:
        carrier = outgoing.get()
        if not carrier or not isinstance(data, dict) or KEY in data:
            return serializer(data)
        try:
            return serializer({**data, KEY: carrier})
        except Exception:
            return serializer(data)

    return serialize


def taking(deserializer: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A deserializer that notes the job's carrier on the way."""

    def deserialize(payload: bytes) -> Any:
        data = deserializer(payload)
        try:
            incoming.set(checked(data.get(KEY)) if isinstance(data, dict) else None)  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
        except Exception:
            incoming.set(None)
        return data

    return deserialize
