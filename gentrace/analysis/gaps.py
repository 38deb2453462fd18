"""Stretches inside a span in which nothing was seen, with what ran last and what came next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gentrace.analysis.critical import every
from gentrace.analysis.tree import Node
from gentrace.core import names
from gentrace.core.spans import Event, Span

LONG_NS = 1_000_000_000
_ELSEWHERE = ("PRODUCER", "CLIENT")  # what hangs under these is the work of another process


@dataclass(frozen=True, slots=True)
class Gap:
    """Over a second of a span's time, Unix ns, of which no span below it tells.

    Attributes:
        span: the one in which it lies.
        after: what ran last before it; None where it begins with the span.
        before: what came next; None where it lasts until the span's end.
        logged: the host's log events in it.
    """

    span: Span
    start_ns: int
    end_ns: int
    after: Span | None
    before: Span | None
    logged: Sequence[Event] = ()

    @property
    def took_ns(self) -> int:
        """How long."""
        return self.end_ns - self.start_ns


def find(roots: Sequence[Node]) -> dict[str, list[Gap]]:
    """The gaps in each job and request, and in what they called, by the id of the span."""
    found: dict[str, list[Gap]] = {}
    reach: dict[int, int] = {}
    for node in reversed(list(every(roots))):  # children before their parents
        inside = _inside(node)
        reach[id(node)] = max([node.end_ns, *(reach[id(child)] for child in inside)])
        if not node.fold and (inside or node.span.kind == "CONSUMER"):
            gaps = list(_between(node, inside, reach))
            if gaps:
                found[node.span.span_id] = gaps
    return found


def _inside(node: Node) -> list[Node]:
    """What hangs under it, tells of work, and began while it went on.

    The run and its waits only say that time went by.
    """
    if node.span.kind in _ELSEWHERE or node.span.name in names.OF_THE_RECORD:
        return []
    return [
        child
        for child in node.children
        if child.span.name not in names.OF_THE_RECORD
        and (node.span.open or child.start_ns < node.end_ns)
    ]


def _between(node: Node, inside: Sequence[Node], reach: dict[int, int]) -> Iterator[Gap]:
    span = node.span
    cursor, last = span.start_ns, None
    for start_ns, end_ns, seen in sorted(_stretches(inside, reach), key=lambda each: each[0]):
        if start_ns >= node.end_ns and not span.open:
            break  # the later calls of a fold
        if start_ns - cursor >= LONG_NS:
            yield _gap(span, cursor, start_ns, last, seen)
        if end_ns >= cursor:
            cursor, last = end_ns, seen
    if not span.open and span.end_ns - cursor >= LONG_NS:
        yield _gap(span, cursor, span.end_ns, last, None)


def _stretches(inside: Iterable[Node], reach: Mapping[int, int]) -> Iterator[tuple[int, int, Span]]:
    """When each began and ended; the calls of a fold one by one: there are gaps between them."""
    for child in inside:
        if child.fold is None:
            yield child.start_ns, reach[id(child)], child.span
        else:
            yield from ((call.start_ns, call.last_ns, call) for call in child.fold.spans)


def _gap(span: Span, start_ns: int, end_ns: int, after: Span | None, before: Span | None) -> Gap:
    logged = [event for event in span.events if start_ns <= event.at_ns < end_ns]
    ours = names.OWN_EVENTS
    return Gap(span, start_ns, end_ns, after, before, [e for e in logged if e.name not in ours])
