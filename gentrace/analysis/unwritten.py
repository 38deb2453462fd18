"""Job spans not written yet (or never: the worker died), as far as their children tell of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from gentrace.core import names
from gentrace.core.spans import Span


def orphans(spans: Sequence[Span]) -> dict[str, list[Span]]:
    """The spans whose parent is not there, by that parent's id.

    A SERVER span is none of them: its caller's own trace went on into the request.
    """
    known = {span.span_id for span in spans}
    found: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.parent_id and span.parent_id not in known and span.kind != "SERVER":
            found[span.parent_id].append(span)
    return found


def stand_ins(spans: Sequence[Span]) -> list[Span]:
    """An open span for each job that only its children tell of, under the enqueue it came from."""
    answered = {span.parent_id for span in spans if span.kind == "CONSUMER"}
    made: list[Span] = []
    for missing, children in orphans(spans).items():
        if any(span.kind == "CONSUMER" for span in children):
            continue
        first = min(children, key=lambda span: span.start_ns)
        waiting = [
            span
            for span in spans
            if span.kind == "PRODUCER"
            and span.start_ns <= first.start_ns
            and span.span_id not in answered
        ]
        if waiting:
            answered.add(waiting[-1].span_id)
            made.append(_stand_in(missing, waiting[-1], first))
    return made


def _stand_in(span_id: str, producer: Span, first: Span) -> Span:
    attributes = {
        name: producer.attributes[name]
        for name in (names.GENERATION_ID, names.MESSAGING_MESSAGE_ID, names.CODE_FUNCTION)
        if name in producer.attributes
    }
    return Span(
        trace_id=producer.trace_id,
        span_id=span_id,
        parent_id=producer.span_id,
        name=producer.name.removeprefix(names.ENQUEUE_PREFIX),
        kind="CONSUMER",
        start_ns=first.start_ns,
        attributes=attributes,
        service=first.service,
        instance=first.instance,
        resource=first.resource,
    )
