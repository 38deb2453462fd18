"""Where the context of our own work is kept, and the span that is at work in it.

Usually that is OpenTelemetry's context. Where another tracer has put a keeper of its own in that
one's place (ddtrace's knows spans alone, and undoes nothing), it is a variable of ours. What the
host sees of a span of ours is runtime/visibility.py's matter.

Source: ``opentelemetry.context._RUNTIME_CONTEXT``, opentelemetry-api 1.20 to 1.45;
``DDRuntimeContext``, ddtrace 4.16.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import Span

from gentrace.runtime import visibility

_ours: ContextVar[Context | None] = ContextVar("gentrace.ambient", default=None)


def is_kept_by_another() -> bool:
    """Whether the keeper of contexts is not OpenTelemetry's own."""
    keeper: Any = otel_context._RUNTIME_CONTEXT
    return type(keeper) is not ContextVarsRuntimeContext


def current() -> Context:
    """The context of our own work here; the host's where there is none."""
    ours = _ours.get()
    return otel_context.get_current() if ours is None else ours


def current_span() -> Span:
    """The span that new work of ours hangs under: ours, or the host's where there is none."""
    return visibility.at_work(current())


def attach(context: Context) -> Any:
    """Make it our context; the token goes to :func:`detach`."""
    if _ours.get() is None and not is_kept_by_another():
        return otel_context.attach(context)
    return _ours.set(context)


def detach(token: Any) -> None:
    """Undo :func:`attach` or a variable's ``set``.

    A token of another context (a coroutine's that is closed from elsewhere) is let be.
    """
    try:
        token.var.reset(token)
    except (ValueError, RuntimeError):
        return


def mark() -> Any:
    """Where we are, for :func:`restore`."""
    ours = _ours.get()
    return ours, None if ours is not None else otel_context.get_current()


def restore(marked: Any) -> None:
    """Go back there, wherever we had got to."""
    ours, theirs = marked
    _ours.set(ours)
    if theirs is not None and not is_kept_by_another():
        otel_context.attach(theirs)
