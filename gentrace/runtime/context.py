"""Whose work is running: the generation's run and the scope around it, in OpenTelemetry's context.

A scope is opened by a request, a job, a creation or a poll and closed when that ends, so that a
task left behind by a request does not record into that request's generation for ever.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import ambient, visibility

_SCOPE_KEY = otel_context.create_key("gentrace.scope")
_MAX_RUNS = 4096
_MAX_NAMELESS = 256


@dataclass(eq=False, slots=True)
class Run:
    """One generation from creation to a final status, as this process knows it.

    Attributes:
        generation_id: None until the host has given one.
        parent: the span that later work of this run hangs under.
        pending: spans over before the id was known, with their end (ns); they wait for it.
        began_ns: when its request was received, 0 where it was not by one.
        asked_of: the generation that the request's path names: a retry may make another one.
        owned: a creation has taken this trace as its generation's.
        stored: another process has begun it in the store.
        unchanged: its jobs that changed nothing, as far as this process knows.
        failed_by: the failure whose stack was told last: its exception's id, and its place.
    """

    generation_id: str | None = None
    parent: trace.SpanContext | None = None
    server_span: trace.Span | None = None
    pending: list[tuple[trace.Span, int]] = field(default_factory=list[tuple[trace.Span, int]])
    prompts: tuple[str, ...] = ()
    owned: bool = False
    adopted: bool = False
    number: int = 1
    began_ns: int = 0
    asked_of: str = ""
    ended_ns: int = 0
    outcome: str = ""
    links: tuple[trace.Link, ...] = ()
    unwritten: list[Any] = field(default_factory=list[Any])
    closed: bool = False
    stored: bool = False
    attempts: int = 0
    unchanged: int = 0
    provider_status: str | None = None
    coming: str = ""
    failed_by: tuple[int, str] | None = None

    @property
    def trace_id(self) -> int:
        """The run's trace, 0 when it has none."""
        return self.parent.trace_id if self.parent is not None else 0

    def identify(self, generation_id: str) -> None:
        """The host gave the id: put it on the SERVER span and on what waited for it."""
        if self.generation_id is not None:
            return
        self.generation_id = generation_id
        if self.server_span is not None and self.server_span.is_recording():
            self.server_span.set_attribute(names.GENERATION_ID, generation_id)
        self.release()
        remember(self)

    def release(self) -> None:
        """End what waited for the id, with it or (when none came) without."""
        waiting, self.pending = self.pending, []
        for span, end_ns in waiting:
            if self.generation_id is not None:
                span.set_attribute(names.GENERATION_ID, self.generation_id)
            span.end(end_ns)

    def abandon(self) -> None:
        """No id will come any more."""
        self.closed = True
        _keep_prompts(self)
        self.unwritten.clear()
        self.release()


@dataclass(eq=False, slots=True)
class Scope:
    """A stretch of work for one run (or for none: then only the caller is known).

    Attributes:
        kind: request, job, create, call or poll.
        caller: cron:<name>, job:<function> or request.
        silent: nothing is recorded in here until :attr:`span` is made.
        span: the span of a silent scope once it was worth one.
        reveal: makes that span.
        untold: makes the spans of what went on before.
        opened_by: the request that it belongs to.
    """

    kind: str
    run: Run | None = None
    caller: str = ""
    open: bool = True
    silent: bool = False
    span: trace.Span | None = None
    entry_span_id: int = -1
    entered_ns: int = field(default_factory=time.time_ns)
    reveal: Callable[[], None] | None = None
    untold: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    opened_by: Any = None

    def close(self) -> None:
        """Nothing is recorded in here any more."""
        self.open = False


def current() -> Scope | None:
    """The open scope of this task, if any."""
    scope = otel_context.get_value(_SCOPE_KEY, ambient.current())
    return scope if isinstance(scope, Scope) and scope.open else None


def inherited() -> Scope | None:
    """The scope that this task began in, be it closed by now."""
    scope = otel_context.get_value(_SCOPE_KEY, ambient.current())
    return scope if isinstance(scope, Scope) else None


def recording() -> Scope | None:
    """The open scope when spans may be started in it."""
    scope = current()
    if scope is None or scope.run is None or (scope.silent and scope.span is None):
        return None
    return scope


def caller() -> str:
    """Who is at work here: cron:<name>, job:<function>, request, or nothing."""
    scope = current()
    return scope.caller if scope is not None else ""


def enter(scope: Scope, span: trace.Span | None = None, base: Any = None) -> Any:
    """Make the scope (and span) current; returns the token for :func:`leave`."""
    context = ambient.current() if base is None else base
    around = otel_context.get_value(_SCOPE_KEY, context)
    if isinstance(around, Scope):
        scope.opened_by = around.opened_by
    context = otel_context.set_value(_SCOPE_KEY, scope, context)
    if span is not None:
        context = visibility.at_work_in(context, span)
    if scope.entry_span_id < 0:
        scope.entry_span_id = visibility.at_work(context).get_span_context().span_id
    return ambient.attach(context)


def outside() -> Any:
    """The context of this task without the scope: what runs in it is nobody's work."""
    return otel_context.set_value(_SCOPE_KEY, None, ambient.current())


def enter_request(scope: Scope, span: trace.Span | None) -> Any:
    """Make a request's scope current, whatever scope and span of ours the task has inherited.

    A server starts the task of a connection's next request within the context of the one before.
    The span is no current span of OpenTelemetry's: the host's own instrumentation may stand
    further in, and is to find what it would without us.
    """
    context = ambient.current()
    if _SCOPE_KEY in context:
        context = visibility.without_ours(context)
    if span is not None:
        context = visibility.known_to_us(context, span)
    return ambient.attach(otel_context.set_value(_SCOPE_KEY, scope, context))


def request() -> Any:
    """The request that this task works for or was made in; None where there is none."""
    scope = inherited()
    return scope.opened_by if scope is not None else None


def enter_nothing() -> Any:
    """Leave whatever scope was inherited; None where there is none."""
    context = ambient.current()
    if otel_context.get_value(_SCOPE_KEY, context) is None:
        return None
    context = visibility.without_ours(context)
    return ambient.attach(otel_context.set_value(_SCOPE_KEY, None, context))


def leave(token: Any) -> None:
    """Undo :func:`enter` or a variable's ``set``."""
    ambient.detach(token)


def span_context(scope: Scope | None = None) -> Any:
    """The context that a new span of ours hangs in: under the span at work, or a silent scope's."""
    context, at_work = ambient.current(), ambient.current_span()
    scope = scope or current()
    if (
        scope is not None
        and scope.span is not None
        and at_work.get_span_context().span_id == scope.entry_span_id
    ):
        at_work = scope.span
    return trace.set_span_in_context(at_work, context)


_runs: OrderedDict[str, Run] = OrderedDict()
_prompts: OrderedDict[int, tuple[str, ...]] = OrderedDict()  # of runs without an id, by their trace
_lock = threading.Lock()


def remember(run: Run) -> None:
    """Keep a run by its generation id; the oldest go when there are too many."""
    if run.generation_id is None:
        return
    with _lock:
        _runs[run.generation_id] = run
        _runs.move_to_end(run.generation_id)
        while len(_runs) > _MAX_RUNS:
            _runs.popitem(last=False)


def find(generation_id: str | None) -> Run | None:
    """The run of that generation, if this process has met it."""
    if generation_id is None:
        return None
    with _lock:
        run = _runs.get(generation_id)
        if run is not None:
            _runs.move_to_end(generation_id)
        return run


def _keep_prompts(run: Run) -> None:
    """The spans of a run that never got an id leave without one: its trace tells whose they are."""
    if not run.prompts or not run.trace_id:
        return
    with _lock:
        _prompts[run.trace_id] = run.prompts
        while len(_prompts) > _MAX_NAMELESS:
            _prompts.popitem(last=False)


def prompts_of(trace_id: int) -> tuple[str, ...]:
    """What a run without an id was asked for, as far as this process knows."""
    return _prompts.get(trace_id, ())


def find_by_trace(trace_id: int) -> Run | None:
    """The run whose trace that is, if this process has met it."""
    with _lock:
        return next((run for run in reversed(_runs.values()) if run.trace_id == trace_id), None)


def forget_all() -> None:
    """Forget every run, and the lock that another thread may have held at a fork."""
    global _lock
    _lock = threading.Lock()
    _runs.clear()
    _prompts.clear()
