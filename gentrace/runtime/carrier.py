"""The trace context in the serialised ARQ job: one extra key, the propagator's fields in it.

The host's propagators (OTEL_PROPAGATORS) decide which fields these are. Where they carry no trace
(``none``, or ``baggage`` alone) W3C's own go beside: no other way leads from a job to its trace.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.baggage import get_baggage, set_baggage
from opentelemetry.context import get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gentrace.runtime import baggage, notices
from gentrace.runtime.context import request as current_request

KEY = "gentrace"
_TRACE_CONTEXT = TraceContextTextMapPropagator()
_MAX_FIELDS = baggage.MAX_ENTRIES + 16  # some propagators give each baggage entry its own field
_MAX_BYTES = 8192

Reader = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What the job being enqueued is to carry; ``reader`` is the queue's own deserializer."""

    fields: dict[str, str]
    reader: Reader | None = None


outgoing: ContextVar[Outgoing | None] = ContextVar("gentrace.carrier.outgoing", default=None)
incoming: ContextVar[dict[str, str] | None] = ContextVar("gentrace.carrier.incoming", default=None)


def inject(span: trace.Span) -> dict[str, str]:
    """The propagators' fields for a job enqueued under that span, with the ambient baggage."""
    context = trace.set_span_in_context(span, baggage.capped(_with_the_requests(get_current())))
    fields: dict[str, str] = {}
    try:
        with baggage.packing():
            propagate.inject(fields, context=context)
    except Exception as exc:
        _propagator_failed(exc)
    found = _span_context(fields) if checked(fields) is not None else None
    if found is None or _place(found) != _place(span.get_span_context()):
        fields = {} if checked(fields) is None else fields
        _TRACE_CONTEXT.inject(fields, context=context)
    return fields


def _with_the_requests(context: otel_context.Context) -> otel_context.Context:
    """That context with the baggage that came with the request, where the host left it there."""
    request = current_request()
    for name, value in request.baggage().items() if request is not None else ():
        if get_baggage(name, context) is None:
            context = set_baggage(name, value, context)
    return context


def place(span: trace.Span) -> dict[str, str]:
    """The span alone, as :func:`extract` reads it: no baggage and no other field."""
    fields: dict[str, str] = {}
    _TRACE_CONTEXT.inject(fields, trace.set_span_in_context(span, otel_context.Context()))
    fields.pop("tracestate", None)
    return fields


def extract(fields: Mapping[str, str] | None) -> trace.SpanContext | None:
    """The span that the job was enqueued under, or None where its carrier names none."""
    if not fields:
        return None
    found = _span_context(fields)
    if found is None:
        unusable()
    return found


def unusable() -> None:
    """A job came with a carrier that leads nowhere: say so, once."""
    notices.say_once(
        "carrier",
        "the trace context of a job is corrupt or too large and is left aside; "
        "the job runs as ever",
    )


def _span_context(fields: Mapping[str, str]) -> trace.SpanContext | None:
    for read in (_TRACE_CONTEXT.extract, propagate.extract):
        try:
            found: Any = read(fields, context=otel_context.Context())
        except Exception as exc:
            _propagator_failed(exc)
            continue
        span_context = trace.get_current_span(found or otel_context.Context()).get_span_context()
        if span_context.is_valid:
            return span_context
    return None


def _place(span_context: trace.SpanContext) -> tuple[int, int, bool]:
    return span_context.trace_id, span_context.span_id, span_context.trace_flags.sampled


def _propagator_failed(exc: Exception) -> None:
    notices.say_once(
        "propagator",
        f"the propagator failed with {type(exc).__name__}; traceparent is used instead",
    )


def arrived(fields: Mapping[str, str] | None) -> otel_context.Context:
    """The context that a job starts in: fresh, but for the baggage that came with it."""
    try:
        return baggage.arrived(fields) if fields else otel_context.Context()
    except Exception as exc:
        _propagator_failed(exc)
        return otel_context.Context()


def checked(value: Any) -> dict[str, str] | None:
    """A carrier out of a job's payload, if it has the shape and size of one."""
    if not isinstance(value, Mapping) or len(value) > _MAX_FIELDS:
        return None
    fields: dict[str, str] = {}
    room = _MAX_BYTES
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str):
            return None
        room -= len(name) + len(text)
        fields[name] = text
    return fields if room >= 0 else None


def adding(serializer: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A serializer that puts the carrier into the job, or leaves it out where that is refused."""

    def serialize(data: Any) -> bytes:
        sending = outgoing.get()
        if sending is None or not isinstance(data, dict) or KEY in data:
            return serializer(data)
        try:
            if sending.reader is None and serializer is not pickle.dumps:
                return serializer(data)  # nobody knows who reads this, and how strictly
            payload = serializer({**data, KEY: sending.fields})
            if _readable(payload, data, sending.reader):
                return payload
        except Exception:
            pass  # with our key or without it: the host's own error comes below
        return serializer(data)

    return serialize


_verdicts: WeakKeyDictionary[Reader, bool] = WeakKeyDictionary()


def _readable(payload: bytes, data: dict[str, Any], reader: Reader | None) -> bool:
    """Whether the queue's own deserializer takes a job with our key; each is asked once.

    A strict one would take the job for corrupt, in a worker without gentrace too.
    """
    if reader is None:
        return True
    verdict = _verdicts.get(reader)
    if verdict is None:
        try:
            verdict = bool(reader(payload)["f"] == data["f"])
        except Exception:
            verdict = False
        _verdicts[reader] = verdict
    return verdict


def taking(deserializer: Reader) -> Reader:
    """A deserializer that notes the job's carrier on the way."""

    def deserialize(payload: bytes) -> Any:
        incoming.set(None)
        data = deserializer(payload)
        try:
            if isinstance(data, Mapping) and KEY in data:
                fields = checked(data[KEY])
                incoming.set(fields)
                if not fields:
                    unusable()
        except Exception:
            unusable()
        return data

    return deserialize
