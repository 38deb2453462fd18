"""Which span of ours is at work, and what the host's own OpenTelemetry gets to see of it.

Where our spans go to the host's provider, they are its current spans, and its own hang under them.
Where the host has a provider of its own that ours do not go to, its spans would get parents that
are nowhere in its backend, and our sampling: it sees nothing of ours. Where it has none, its code
may put attributes and events on our spans; no propagator finds a trace to send on in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from gentrace.runtime.export import place

_SPAN_KEY = otel_context.create_key("gentrace.span")
_OUTSIDE_KEY = otel_context.create_key("gentrace.outside")
(_CURRENT_KEY,) = trace.set_span_in_context(trace.INVALID_SPAN, otel_context.Context())
"""Where OpenTelemetry keeps the current span."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _never() -> bool:
    return False


is_shared: Callable[[], bool] = _never
"""Whether the host's spans go where ours go, and no other way; the session puts its answer here."""


class Face(trace.Span):
    """A span of ours as a host without a provider sees it: it takes what is said, in no trace."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def end(self, end_time: int | None = None) -> None:
        return  # that is ours to say

    def get_span_context(self) -> trace.SpanContext:
        return trace.INVALID_SPAN_CONTEXT

    def is_recording(self) -> bool:
        return self._span.is_recording()

    def set_attribute(self, key: str, value: Any) -> None:
        self._span.set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        self._span.set_attributes(attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self._span.add_event(name, attributes, timestamp)

    def add_link(self, context: trace.SpanContext, attributes: Any = None) -> None:
        self._span.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self._span.update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        self._span.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self._span.record_exception(exception, attributes, timestamp, escaped)


def forget() -> None:
    """Nothing is shared any more: gentrace has been switched off."""
    global is_shared
    is_shared = _never


def _has_provider() -> bool:
    found = place.found()
    return found is not None and place.acting(found) is not None


def at_work(context: otel_context.Context | None = None) -> trace.Span:
    """The span that new work of ours hangs under.

    The current span of OpenTelemetry's context where it is in the same trace as ours (a library's,
    or the host's in a provider that we share), else ours.
    """
    if context is None:
        context = otel_context.get_current()
    seen: Any = context.get(_CURRENT_KEY, trace.INVALID_SPAN)
    own: Any = context.get(_SPAN_KEY)
    if own is None:
        return trace.get_current_span(context)
    same = own.get_span_context().trace_id == seen.get_span_context().trace_id
    # in one trace with ours but in another backend it would be a parent that ours have nowhere
    return seen if same and (is_shared() or not _has_provider()) else own


def known_to_us(context: otel_context.Context, span: trace.Span) -> otel_context.Context:
    """That context with the span at work, which nobody but us finds there."""
    return otel_context.set_value(_SPAN_KEY, span, context)


def at_work_in(
    context: otel_context.Context, span: trace.Span, more: Mapping[str, Any] = _NOTHING
) -> otel_context.Context:
    """That context with the span at work, of which the host sees what it may.

    Args:
        more: what else is put into it.
    """
    outside: Any = context.get(_CURRENT_KEY, trace.INVALID_SPAN)
    made: dict[str, Any] = {**context, **more, _SPAN_KEY: span}
    if is_shared():
        made[_CURRENT_KEY] = span
    elif type(outside) is Face or outside is trace.INVALID_SPAN:
        if _has_provider():
            return otel_context.Context(made)
        made[_CURRENT_KEY] = Face(span)
    else:  # it may be a caller's, on its way to another service
        return otel_context.Context(made)
    if made.get(_OUTSIDE_KEY) is None:
        made[_OUTSIDE_KEY] = outside
    return otel_context.Context(made)


def without_ours(context: otel_context.Context) -> otel_context.Context:
    """That context with no span of ours: what the host itself has put there stays."""
    seen: Any = trace.get_current_span(context)
    if isinstance(seen, Face) or seen is otel_context.get_value(_SPAN_KEY, context):
        outside: Any = otel_context.get_value(_OUTSIDE_KEY, context)
        context = trace.set_span_in_context(outside or trace.INVALID_SPAN, context)
    context = otel_context.set_value(_OUTSIDE_KEY, None, context)
    return otel_context.set_value(_SPAN_KEY, None, context)
