"""Where the context of our own work is kept, and the span that is at work in it.

It is OpenTelemetry's context, and beside it a variable of ours. A host's own middleware may begin
with an empty context (``extract`` gives one), and another tracer may have put a keeper of contexts
in OpenTelemetry's place that forgets what it does not know (ddtrace's knows spans alone, and undoes
nothing). What the host sees of a span of ours is runtime/visibility.py's matter.

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

_OURS = "gentrace."
"""What the keys of ours begin with in a context."""
_ours: ContextVar[Context | None] = ContextVar("gentrace.ambient", default=None)


def is_kept_by_another() -> bool:
    """Whether the keeper of contexts is not OpenTelemetry's own."""
    keeper: Any = otel_context._RUNTIME_CONTEXT
    return type(keeper) is not ContextVarsRuntimeContext


def current() -> Context:
    """The context of our own work here: the host's, with what is ours in it."""
    ours, theirs = _ours.get(), otel_context.get_current()
    return theirs if ours is None or ours is theirs else at((ours, theirs))


def at(marked: Any) -> Context:
    """The context that was :func:`current` where :func:`mark` was called."""
    ours, theirs = marked
    if ours is None or ours is theirs:
        return theirs
    if is_kept_by_another():
        return ours
    known = {key: value for key, value in ours.items() if key.startswith(_OURS)}
    return theirs if known.keys() <= theirs.keys() else Context({**theirs, **known})


def current_span() -> Span:
    """The span that new work of ours hangs under: ours, or the host's where there is none."""
    return visibility.at_work(current())


def attach(context: Context) -> Any:
    """Make it our context, and OpenTelemetry's; the token goes to :func:`detach`."""
    if is_kept_by_another():
        return (_ours.set(context),)
    return _ours.set(context), otel_context.attach(context)


def detach(token: Any) -> None:
    """Undo :func:`attach` or a variable's ``set``.

    A token of another context (a coroutine's that is closed from elsewhere) is let be.
    """
    for each in reversed(token) if isinstance(token, tuple) else (token,):
        try:
            each.var.reset(each)
        except (ValueError, RuntimeError):
            continue


def mark() -> Any:
    """Where we are, for :func:`restore`."""
    return _ours.get(), otel_context.get_current()


def restore(marked: Any) -> None:
    """Go back there, wherever we had got to."""
    ours, theirs = marked
    _ours.set(ours)
    if not is_kept_by_another():
        otel_context.attach(theirs)
