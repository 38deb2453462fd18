"""The spans that are made of a run's record: the run itself, its waits, and a dead worker's.

They are written when their end is known, by whichever process learns it, with times and ids of
their own: the id is derived from what the span is, so a second write is the same span.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gentrace import __version__
from gentrace.core import names
from gentrace.core.run.times import State
from gentrace.runtime.export.scrubbing import OWN_SCOPE, OfAnother
from gentrace.runtime.runs.ledger import Stay
from gentrace.runtime.runs.record import STAGES, OpenSpan, Record, root_id, run_span_id

WAITS = {
    State.QUEUE: names.QUEUE_WAIT,
    State.ACCOUNT_WAIT: names.ACCOUNT_WAIT,
    State.RETRY_WAIT: names.RETRY_WAIT,
    State.PROVIDER_RUN: names.PROVIDER_WAIT,
}
MAX_WAITS = 3
_SCOPE = InstrumentationScope(OWN_SCOPE, __version__)
_COUNTS = (names.TRIES, names.REQUEUES, names.ATTEMPTS, names.POLLS)
_ON_THE_WAIT = (names.PROVIDER_STATUS, names.PROVIDER_PROGRESS, names.PROVIDER_JOB_ID)


def run_span(record: Record) -> ReadableSpan:
    """The span of the whole run, once its end is certain."""
    times = record.ledger.times()
    attributes: dict[str, Any] = {
        name: value for name, value in record.facts.items() if name not in _ON_THE_WAIT[:2]
    }
    if record.outcome != names.FAILED:  # what was tried again and went well is no error
        for name in names.ERROR_FACTS:
            attributes.pop(name, None)
    attributes |= {
        names.GENERATION_ID: record.generation_id,
        names.GENERATION_RUN: record.number,
        names.OUTCOME: record.outcome,
        names.STAGE: "finished" if record.outcome == names.COMPLETED else STAGES[record.stage],
        names.PROCESSES: list(record.processes),
    }
    attributes |= {name: record.counts.get(name, 0) for name in _COUNTS}
    attributes |= {
        name: times.spent_ns.get(State(state), 0) / 1e9 for state, name in names.TIMES.items()
    }
    if record.incomplete:
        attributes[names.INCOMPLETE] = list(record.incomplete)
    if times.late:
        attributes[names.LATE_EVENTS] = times.late
    status = Status()
    if record.outcome == names.FAILED:
        told = attributes.get(names.ERROR_MESSAGE) or attributes.get(names.ERROR_CODE) or ""
        status = Status(StatusCode.ERROR, str(told))
        attributes.setdefault(names.ERROR_TYPE, attributes.get(names.ERROR_CODE) or "failed")
    return _span(
        record,
        names.RUN,
        run_span_id(record.trace, record.number),
        record.root,
        (times.start_ns, times.since_ns),
        attributes,
        links=[link for link in (_link(*given) for given in record.links) if link],
        status=status,
    )


def root_span(record: Record) -> ReadableSpan | None:
    """The root of a trace that the store began: the status that took the generation up again.

    None where the process that saw it began the trace itself.
    """
    if record.root != root_id(record.trace):
        return None
    start_ns = record.ledger.times().start_ns
    return _span(
        record,
        names.STATUS_CHANGE,
        record.root,
        "",
        (start_ns, start_ns),
        {names.GENERATION_ID: record.generation_id, names.STATUS: record.status},
        links=[link for link in (_link(*given) for given in record.links) if link],
    )


def wait_spans(record: Record, stays: Sequence[Stay], polls: int = 0) -> Iterator[ReadableSpan]:
    """The spans of the waits that are over; of a long story only the first of each kind.

    Args:
        polls: how often the provider was asked in the wait for it.
    """
    for stay in _joined(stays):
        name = WAITS.get(stay.state)
        if name is None:
            continue
        nth = record.waits.get(stay.state.value, 0)
        if stay.state is not State.PROVIDER_RUN and nth > MAX_WAITS:
            continue
        attributes: dict[str, Any] = {names.GENERATION_ID: record.generation_id}
        reason = record.facts.get(names.WAIT_REASON)
        if stay.state is State.PROVIDER_RUN:
            attributes[names.POLLS] = polls
            attributes |= {n: record.facts[n] for n in _ON_THE_WAIT if n in record.facts}
        elif reason is not None and stay.state is not State.QUEUE:
            attributes[names.WAIT_REASON] = reason
        held = record.executed if stay.state is State.PROVIDER_RUN else record.anchors
        yield _span(
            record,
            name,
            _span_id(record.trace, record.number, name, stay.start_ns),
            _at(held, stay.start_ns) or record.root,
            (stay.start_ns, stay.end_ns),
            attributes,
        )


def _at(held: Sequence[tuple[int, str]], at_ns: int) -> str:
    """The span that a wait beginning then hangs under: the last one before it."""
    before = [span_id for since_ns, span_id in held if since_ns <= at_ns]
    return before[-1] if before else held[0][1] if held else ""


def _joined(stays: Sequence[Stay]) -> Iterator[Stay]:
    """Stretches of one state that follow each other as one."""
    held: Stay | None = None
    for stay in stays:
        if held is not None and held.state is stay.state and held.end_ns == stay.start_ns:
            held = Stay(stay.state, held.start_ns, stay.end_ns)
            continue
        if held is not None:
            yield held
        held = stay
    if held is not None:
        yield held


def stand_in(record: Record, span: OpenSpan, end_ns: int) -> ReadableSpan:
    """What a process that died had open: ended with its last sign of life.

    One that was over, and had not left yet, is no error; what it said is lost.
    """
    attributes: dict[str, Any] = {**span.attributes, names.GENERATION_ID: record.generation_id}
    status = Status()
    if span.end_ns:
        attributes[names.INCOMPLETE] = [names.WORKER_DIED]
    else:
        attributes[names.ERROR_TYPE] = names.WORKER_DIED
        status = Status(StatusCode.ERROR, "the process died while this was open")
    end_ns = span.end_ns or max(end_ns, record.heard.get(span.instance, 0))
    return _span(
        record,
        span.name,
        span.span_id,
        span.parent,
        (span.start_ns, max(end_ns, span.start_ns)),
        attributes,
        kind=SpanKind(span.kind),
        status=status,
        trace=span.trace,
        resource=_of_process(span),
    )


def _of_process(span: OpenSpan) -> Resource:
    """The process that had the span open, and not the one that writes it in its place."""
    if not span.service:
        return Resource.get_empty()
    return OfAnother(
        {
            "service.name": span.service,
            "service.instance.id": span.instance,
            **{str(name): str(value) for name, value in span.host.items()},
            "telemetry.distro.name": "gentrace",
            "telemetry.distro.version": __version__,
        }
    )


def _span(
    record: Record,
    name: str,
    span_id: str,
    parent_id: str,
    times: tuple[int, int],
    attributes: Mapping[str, Any],
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[Link] = (),
    status: Status | None = None,
    trace: str = "",
    resource: Resource | None = None,
) -> ReadableSpan:
    trace_id, flags = int(trace or record.trace, 16), TraceFlags(record.flags)
    parent = SpanContext(trace_id, int(parent_id, 16), True, flags) if parent_id else None
    return ReadableSpan(
        name=name,
        context=SpanContext(trace_id, int(span_id, 16), False, flags),
        parent=parent,
        # The exporter puts its process's resource in an empty one's place.
        resource=resource or Resource.get_empty(),
        attributes=dict(attributes),
        links=links,
        kind=kind,
        status=status or Status(),
        start_time=times[0],
        end_time=times[1],
        instrumentation_scope=_SCOPE,
    )


def _span_id(trace: str, number: int, name: str, start_ns: int) -> str:
    return hashlib.sha256(f"{trace}:{number}:{name}:{start_ns}".encode()).hexdigest()[:16]


def _link(trace: str, span: str, why: str) -> Link | None:
    try:
        context = SpanContext(int(trace, 16), int(span, 16), True)
    except ValueError:
        return None
    return Link(context, {names.LINK: why}) if context.is_valid else None
