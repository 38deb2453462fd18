"""OpenTelemetry's current context as our own spans and scopes use it, and where that is kept.

Usually that is OpenTelemetry's own. Where the host's spans go to one place and ours to another,
ours are kept apart: a span of the host's whose parent is elsewhere would be an orphan there, and
a sampler of the host's would obey ours. So it is where somebody has put another keeper of contexts
in place of OpenTelemetry's (ddtrace's knows spans alone, and undoes nothing).

Source: ``opentelemetry.context._RUNTIME_CONTEXT``, opentelemetry-api 1.20 to 1.45;
``DDRuntimeContext``, ddtrace 4.16.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import Span, SpanContext

_ours: ContextVar[Context | None] = ContextVar("gentrace.ambient", default=None)


def _never() -> bool:
    return False


is_apart: Callable[[], bool] = _never
"""Whether what begins now is kept apart; the session puts its own answer here."""


def forget() -> None:
    """Nothing is kept apart any more: gentrace has been switched off."""
    global is_apart
    is_apart = _never


def is_kept_by_another() -> bool:
    """Whether the keeper of contexts is not OpenTelemetry's own."""
    keeper: Any = otel_context._RUNTIME_CONTEXT
    return not isinstance(keeper, ContextVarsRuntimeContext)


def current() -> Context:
    """The context of our own work here; the host's where there is none."""
    ours = _ours.get()
    return otel_context.get_current() if ours is None else ours


def current_span() -> Span:
    """The span at work: ours, or the host's where there is none."""
    return trace.get_current_span(current())


def apart() -> bool:
    """Whether our context is kept apart here. What was begun apart goes on so."""
    return _ours.get() is not None or is_apart()


def attach(context: Context, base: Context | None = None) -> Any:
    """Make it our context; the token goes to :func:`detach`.

    Args:
        base: what of it is the host's to see, where the two are kept apart: its own otherwise.
    """
    if not apart():
        return otel_context.attach(context)
    token = _ours.set(context)
    if base is None or is_kept_by_another():
        return token
    return token, otel_context.attach(base)


def detach(token: Any) -> None:
    """Undo :func:`attach` or a variable's ``set``.

    A token of another context (a coroutine's that is closed from elsewhere) is let be.
    """
    for each in reversed(token) if isinstance(token, tuple) else (token,):
        try:
            each.var.reset(each)
        except (ValueError, RuntimeError):
            continue


def keep() -> Any:
    """A token that undoes all that is kept apart from here on."""
    return _ours.set(_ours.get())


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


class Shadow(Span):
    """A span of ours in the hands of a library's instrumentation, which makes it current.

    It does as that span, but stands for none: what the host starts meanwhile hangs where it
    would hang without us.
    """

    def __init__(self, real: Span) -> None:
        self.real, self._place = real, trace.get_current_span().get_span_context()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def get_span_context(self) -> SpanContext:
        return self._place

    def end(self, end_time: int | None = None) -> None:
        self.real.end(end_time)

    def set_attributes(self, attributes: Any) -> None:
        self.real.set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        self.real.set_attribute(key, value)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.real.add_event(name, attributes, timestamp)

    def add_link(self, context: Any, attributes: Any = None) -> None:
        self.real.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.real.update_name(name)

    def is_recording(self) -> bool:
        return self.real.is_recording()

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.real.set_status(status, description)

    def record_exception(self, *args: Any, **kwargs: Any) -> None:
        self.real.record_exception(*args, **kwargs)


def real(span: Span) -> Span:
    """The span itself, where an instrumentation gives a shadow of it back."""
    return span.real if isinstance(span, Shadow) else span
