"""The steps of a run, as the hooks tell them to the store: one function a step.

Each is called in the host's time and waits for nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.core.run.run import UNCHANGED
from gentrace.core.run.times import Event, Kind, State
from gentrace.runtime.context import Run
from gentrace.runtime.engine import Engine


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The run was put on a queue.

    Attributes:
        from_ns: when the enqueue began: the job may start before it has returned.
        at_ns: when it had returned.
        due_ns: until when the job is deferred; 0 where it is due at once.
        job_id: ARQ's id of it, empty where it is not known.
    """

    function: str
    from_ns: int
    due_ns: int
    span_id: str
    at_ns: int = 0
    job_id: str = ""


def began(engine: Engine, run: Run, created: trace.Span) -> None:
    """The run began, with the request or with the creating call; its id is not known yet."""
    at_ns = getattr(created, "start_time", None) or time.time_ns()
    own = run.parent
    if run.server_span is not None and own is not None:
        server = run.server_span.get_span_context()
        if server.trace_id == own.trace_id:
            own = server
            if engine.tracing.open is not None:
                engine.tracing.open.began(run.server_span, run)
            received_ns = getattr(run.server_span, "start_time", None) or run.began_ns
            at_ns = min(at_ns, received_ns or at_ns)
    if own is not None:
        event = Event(Kind.RECEIVED, at_ns)
        engine.store.note(run, events=(event,), root=_hex(own), stage="created")


def created(
    engine: Engine,
    run: Run,
    facts: Mapping[str, Any],
    links: tuple[tuple[str, str, str], ...] = (),
) -> None:
    """The generation exists: what was asked, how it was found to be new, what it follows."""
    # A request has its own end; what a job does after the call is no part of the generation.
    over = () if run.server_span is not None else (Event(Kind.CREATED, time.time_ns()),)
    engine.store.note(run, events=over, facts=facts, links=links, urgent=True)


def enqueued(engine: Engine, run: Run, what: Enqueued, wait: State | None = None) -> None:
    """The run's job waits on a queue."""
    at_ns = what.at_ns or what.from_ns
    event = Event(Kind.ENQUEUED, at_ns, wait=wait, due_ns=what.due_ns, from_ns=what.from_ns)
    engine.store.note(
        run,
        events=(event,),
        enqueued=what.function,
        job=_job(what.job_id),
        anchor=what.span_id,
        stage="queued",
        urgent=True,
    )


def not_enqueued(engine: Engine, run: Run, at_ns: int, facts: Mapping[str, Any]) -> None:
    """Its enqueue failed: somebody has to find it."""
    engine.store.note(run, events=(Event(Kind.ENQUEUED, at_ns),), facts=facts, urgent=True)


def job_started(
    engine: Engine, run: Run, span: trace.Span | None, at_ns: int, job_id: str = ""
) -> None:
    """A try of its job has begun; with a span, or without one until it is worth it."""
    if engine.tracing.open is not None and span is not None:
        engine.tracing.open.note(span)
    engine.store.note(
        run,
        events=(Event(Kind.JOB_STARTED, at_ns),),
        counts={names.TRIES: 1},
        facts={names.CODE_VERSION: engine.process.code_version},
        root=_hex(span.get_span_context()) if run.adopted and span is not None else "",
        job=_job(job_id),
        stage="started",
    )


@dataclass(frozen=True, slots=True)
class Over:
    """How a try ended.

    Attributes:
        from_ns: when it started.
        again: ARQ runs the same job again: it was interrupted, or it asked for it.
        failed: it failed, and ARQ does not run it again.
        unchanged: it left the run as it had found it, but for having put it on a queue again.
        deferral_s: after that time, where it asked.
        status, reason: what the host's function returned, in its own words.
    """

    at_ns: int
    from_ns: int = 0
    again: bool = False
    failed: bool = False
    unchanged: bool = False
    retried: bool = False
    deferral_s: float = 0.0
    status: str = ""
    reason: str = ""


def job_over(
    engine: Engine,
    run: Run,
    span: trace.Span | None,
    over: Over,
    again: list[Enqueued],
    facts: Mapping[str, Any],
) -> None:
    """A try of its job is over; ``again``: what it put on a queue itself."""
    words = engine.profile.waits
    wait = wait_for(engine, over.status, over.reason)
    for what in again:
        enqueued(engine, run, what, wait or State.RETRY_WAIT if what.due_ns else None)
    told = dict(facts)
    if (again or wait is not None) and over.reason:
        told[names.WAIT_REASON] = engine.tracing.word(over.reason, run)
    if over.again:
        due_ns = over.at_ns + round(over.deferral_s * 1e9) if over.deferral_s else 0
        state = State.RETRY_WAIT if over.retried and due_ns else None
        event = Event(Kind.ENQUEUED, over.at_ns, wait=state, due_ns=due_ns)
    elif not over.from_ns:
        event = None  # it never ran: what the run is doing goes on
    elif over.status in words.unchanged and not again:
        event = Event(Kind.NO_CHANGE, over.at_ns, from_ns=over.from_ns)
    else:
        held = State.HOLD if over.status in words.held else None
        kind = Kind.JOB_FAILED if over.failed else Kind.JOB_OVER
        event = Event(kind, over.at_ns, wait=held, from_ns=over.from_ns)
    anchor = _hex(span.get_span_context()) if over.again and span is not None else ""
    counts = {UNCHANGED: 1} if over.unchanged else {}
    run.unchanged += over.unchanged
    events = () if event is None else (event,)
    engine.store.note(run, events=events, facts=told, counts=counts, anchor=anchor, urgent=True)


def wait_for(engine: Engine, status: str, reason: str) -> State | None:
    """What a job that put its run on a queue again waits for, by what it returned."""
    words = engine.profile.waits
    if status in words.held:
        return State.HOLD
    if any(word in reason for word in words.account):
        return State.ACCOUNT_WAIT
    return None


def _job(job_id: str) -> str:
    """Names a job without its id, into which the host may have put anything."""
    return hashlib.sha256(job_id.encode("utf-8", "replace")).hexdigest()[:8] if job_id else ""


def _hex(span: trace.SpanContext) -> str:
    return f"{span.span_id:016x}"
