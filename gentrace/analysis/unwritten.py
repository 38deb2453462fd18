"""Job spans not written yet (or never: the worker died), as far as their children tell of them."""

from __future__ import annotations

from bisect import bisect_right
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
    """An open span for each job that only its children tell of, under the enqueue it came from.

    Args:
        spans: by start.
    """
    answered = {span.parent_id for span in spans if span.kind == "CONSUMER"}
    waiting = _Waiting([s for s in spans if s.kind == "PRODUCER" and s.span_id not in answered])
    made: list[Span] = []
    for missing, children in orphans(spans).items():
        if any(span.kind == "CONSUMER" for span in children):
            continue
        first = min(children, key=lambda span: span.start_ns)
        producer = waiting.taken(first.start_ns)
        if producer is not None:
            made.append(_stand_in(missing, producer, first))
    return made


class _Waiting:
    """Enqueues whose job is not there, by start; each is taken once."""

    def __init__(self, producers: Sequence[Span]) -> None:
        self._producers = producers
        self._starts = [span.start_ns for span in producers]
        # Of each place, one more than the last place up to it that is not taken, or nearer there.
        self._free = list(range(len(producers) + 1))

    def taken(self, at_ns: int) -> Span | None:
        """The last one that began by then and was not taken before; None where there is none."""
        way: list[int] = []
        place = bisect_right(self._starts, at_ns)
        while self._free[place] != place:
            way.append(place)
            place = self._free[place]
        for each in way:
            self._free[each] = place
        if not place:
            return None
        self._free[place] = place - 1
        return self._producers[place - 1]


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
