"""The request's span where the host has FastAPI instrumented itself: a generation may take it.

Such a request opens no scope of ours. Its SERVER span becomes the root of the generation's trace
as ours would: once, while it is being recorded, and not below a caller's span, whose trace may
hold other generations.

Source: ``opentelemetry.sdk.trace.Span.kind`` and ``.parent``, opentelemetry-sdk 1.20 to 1.45.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from gentrace.runtime import visibility
from gentrace.runtime.context import Run

_taken: WeakSet[Any] = WeakSet()


def at_work() -> bool:
    """Whether the current span is that of a request."""
    return getattr(trace.get_current_span(), "kind", None) is SpanKind.SERVER


def take(trust_incoming: bool) -> Run | None:
    """A run in the host's request's trace; None where there is none that it may have.

    Args:
        trust_incoming: the profile trusts an incoming traceparent: its trace is taken then.
    """
    span: Any = trace.get_current_span()
    if not at_work() or not span.is_recording() or span in _taken:
        return None
    if getattr(span, "parent", None) is not None and not trust_incoming:
        return None
    if not visibility.is_shared():
        return None  # the span goes where ours do not
    _taken.add(span)
    return Run(server_span=span, parent=span.get_span_context())
