"""The reader's span: one frozen record, whatever store it came from, and traces made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gentrace.core import names

T = TypeVar("T")
KINDS = ("INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one moment of a span."""

    name: str
    at_ns: int
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Link:
    """A pointer to a span of another trace."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Ids are lower-case hex; ``parent_id`` is empty at a root; times are Unix ns.

    Attributes:
        kind: one of :data:`KINDS`.
        status: one of :data:`STATUSES`.
        service: the resource's service.name.
        instance: the resource's service.instance.id, which names a process.
        end_ns: 0 where the span was written while still open.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str = "INTERNAL"
    start_ns: int = 0
    end_ns: int = 0
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    status: str = "UNSET"
    status_message: str = ""
    service: str = ""
    instance: str = ""
    resource: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    scope: str = ""

    @property
    def open(self) -> bool:
        """Written without an end."""
        return self.end_ns <= 0

    @property
    def last_ns(self) -> int:
        """The end, or for an open span the last moment known of it."""
        if not self.open:
            return self.end_ns
        return max((event.at_ns for event in self.events), default=self.start_ns)

    @property
    def duration_ns(self) -> int:
        """End minus start, never negative."""
        return max(0, self.last_ns - self.start_ns)

    @property
    def failed(self) -> bool:
        """The span's status is ERROR."""
        return self.status == "ERROR"

    def text(self, name: str) -> str | None:
        """An attribute as text, or None when it is absent or empty."""
        value = self.attributes.get(name)
        return None if value is None or value == "" else plain(value)


@dataclass(frozen=True, slots=True)
class Trace:
    """All known spans of one trace, by start, then parents first.

    Attributes:
        repeated: how often a span was given again, and one of the two left out; but for those that
            each process may write which comes to it.
    """

    trace_id: str
    spans: tuple[Span, ...]
    repeated: int = field(default=0, compare=False)

    @property
    def start_ns(self) -> int:
        """The earliest start, 0 in an empty trace."""
        return self.spans[0].start_ns if self.spans else 0

    @property
    def end_ns(self) -> int:
        """The last moment known."""
        return max((span.last_ns for span in self.spans), default=0)

    def by_id(self) -> dict[str, Span]:
        """The spans by their id."""
        return {span.span_id: span for span in self.spans}


def plain(value: Any) -> str:
    """An attribute value as one would type it in a filter: true, 3, a,b."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        items: Iterable[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return ",".join(plain(item) for item in items)
    return str(value)


def repeated(count: int, what: str = "span") -> str:
    """What to say of spans that were given again."""
    told = f"one {what} came twice" if count == 1 else f"{count} {what}s came twice"
    return f"{told}; of each the one that ended last counts"


def oldest_first(found: Iterable[Trace]) -> list[Trace]:
    """By their start, the same whatever order they came in."""
    return sorted(found, key=lambda trace: (trace.start_ns, trace.trace_id))


def traces(spans: Iterable[Span]) -> Iterator[Trace]:
    """Group spans into traces, in the order in which the traces first appear.

    Of spans with the same id in one trace the one that ended last is kept, whatever the order: a
    span may be written more than once, by two processes that each know another part of it.
    """
    grouped: dict[str, dict[str, Span]] = {}
    given: Counter[str] = Counter()  # again
    for span in spans:
        members = grouped.setdefault(span.trace_id, {})
        other = members.setdefault(span.span_id, span)
        if other is span:
            continue
        given[span.trace_id] += span.name not in names.OF_THE_RECORD
        if _completeness(span) >= _completeness(other):
            members[span.span_id] = span
    for trace_id, members in grouped.items():
        yield Trace(trace_id, tuple(_ordered(members)), given[trace_id])


def _completeness(span: Span) -> tuple[int, int, str]:
    return span.end_ns, len(span.attributes), span.instance


def _ordered(members: Mapping[str, Span]) -> list[Span]:
    """By start; where clocks give parent and child the same start, the parent first."""

    below = depths({span.span_id: span.parent_id for span in members.values()})
    return sorted(members.values(), key=lambda s: (s.start_ns, below[s.span_id], s.span_id))


def depths(parents: Mapping[str, str]) -> dict[str, int]:
    """How deep each span lies below a root, by its id; each way up is gone once.

    Args:
        parents: of each span's id its parent's. In a circle all are equally deep.
    """
    found: dict[str, int] = {}
    for span_id in parents:
        way: dict[str, None] = {}
        while span_id in parents and span_id not in found and span_id not in way:
            way[span_id] = None
            span_id = parents[span_id]
        upwards = [*way]
        if span_id in way:
            circle = upwards.index(span_id)
            found |= dict.fromkeys(upwards[circle:], 1)
            del upwards[circle:]
        depth = found.get(span_id, 0)
        for each in reversed(upwards):
            depth += 1
            found[each] = depth
    return found


def nearest(parents: Mapping[str, str], own: Mapping[str, T]) -> dict[str, T]:
    """Of each span what the nearest span above it has, or it has itself; each way up is gone once.

    Args:
        parents: of each span's id its parent's; they may form a circle.
        own: what some of them have, by their id.

    Returns:
        By id; a span with nothing above it that has any is left out.
    """
    found: dict[str, T] = {}
    gone: set[str] = set()
    for span_id in parents:
        way: list[str] = []
        while span_id in parents and span_id not in gone:
            gone.add(span_id)
            way.append(span_id)
            if span_id in own:
                found[span_id] = own[span_id]
                break
            span_id = parents[span_id]
        if span_id in found:
            found |= dict.fromkeys(way, found[span_id])
    return found
