"""The spans that are made of a folded run: the run itself, its waits, and those of the dead.

They are written when the run's end is certain, by whichever process settles it. Their ids are
derived from what they are and never from a time, so that a second write is the same span.
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
from gentrace.core.run.events import OpenSpan
from gentrace.core.run.run import ON_THE_WAIT, STAGES, Run, root_id, run_span_id
from gentrace.core.run.times import State
from gentrace.runtime.export.scrubbing import OWN_SCOPE, OfAnother

WAITS = {
    State.QUEUE: names.QUEUE_WAIT,
    State.ACCOUNT_WAIT: names.ACCOUNT_WAIT,
    State.RETRY_WAIT: names.RETRY_WAIT,
    State.PROVIDER_RUN: names.PROVIDER_WAIT,
}
_SCOPE = InstrumentationScope(OWN_SCOPE, __version__)
_COUNTS = (names.TRIES, names.REQUEUES, names.ATTEMPTS, names.POLLS)
Polls = Sequence[tuple[int, int]]


def run_span(generation_id: str, record: Run, polls: Polls = ()) -> ReadableSpan:
    """The span of the whole run, once its end is certain.

    Args:
        polls: when (ns) the provider was asked, and how often until then.
    """
    times = record.times
    attributes: dict[str, Any] = {
        name: value for name, value in record.facts.items() if name not in ON_THE_WAIT[:2]
    }
    if record.outcome != names.FAILED:  # what was tried again and went well is no error
        for name in names.ERROR_FACTS:
            attributes.pop(name, None)
    attributes |= {
        names.GENERATION_ID: generation_id,
        names.GENERATION_RUN: record.number,
        names.OUTCOME: record.outcome,
        names.STAGE: "finished" if record.outcome == names.COMPLETED else STAGES[record.stage],
        names.PROCESSES: list(record.processes),
    }
    attributes |= {name: record.counts.get(name, 0) for name in _COUNTS}
    attributes[names.POLLS] += sum(count for _, count in polls)
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


def root_span(generation_id: str, record: Run) -> ReadableSpan | None:
    """The root of a trace that the store began: the status that took the generation up again.

    None where the process that saw it began the trace itself.
    """
    if record.root != root_id(record.trace):
        return None
    start_ns = record.times.start_ns
    return _span(
        record,
        names.STATUS_CHANGE,
        record.root,
        "",
        (start_ns, start_ns),
        {names.GENERATION_ID: generation_id, names.STATUS: record.reopened_by},
        links=[link for link in (_link(*given) for given in record.links) if link],
    )


def wait_spans(generation_id: str, record: Run, polls: Polls = ()) -> Iterator[ReadableSpan]:
    """The spans of its waits; of a long story only the first of each kind."""
    told_ns = 0
    for stay in record.stays:
        name = WAITS.get(stay.state)
        if name is None:
            continue
        attributes: dict[str, Any] = {names.GENERATION_ID: generation_id, **stay.facts}
        if stay.state is State.PROVIDER_RUN:
            asked = [count for at_ns, count in polls if told_ns < at_ns <= stay.end_ns]
            attributes[names.POLLS], told_ns = sum(asked), stay.end_ns
        elif stay.reason and stay.state is not State.QUEUE:
            attributes[names.WAIT_REASON] = stay.reason
        yield _span(
            record,
            name,
            _span_id(record.trace, record.number, name, stay.nth),
            stay.parent or record.root,
            (stay.start_ns, stay.end_ns),
            attributes,
        )


def stand_in(generation_id: str, record: Run, span: OpenSpan, end_ns: int) -> ReadableSpan:
    """What a process that died had open: ended with its last sign of life.

    One that was over, and had not left yet, is no error; what it said is lost.
    """
    attributes: dict[str, Any] = {**span.attributes, names.GENERATION_ID: generation_id}
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
    record: Run,
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


def _span_id(trace: str, number: int, name: str, nth: int) -> str:
    return hashlib.sha256(f"{trace}:{number}:{name}:{nth}".encode()).hexdigest()[:16]


def _link(trace: str, span: str, why: str) -> Link | None:
    try:
        context = SpanContext(int(trace, 16), int(span, 16), True)
    except ValueError:
        return None
    return Link(context, {names.LINK: why}) if context.is_valid else None
