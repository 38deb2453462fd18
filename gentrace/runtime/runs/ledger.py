"""A run's additive times as the store keeps them: what was counted, and its newest events.

Events of several processes arrive in another order than they happened. The newest
:data:`WINDOW` stay as they are, sorted by time, and are counted each time anew; older ones are
folded into the count, so that a run of any length takes the same room.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from gentrace.core.run.times import WAITS, Event, Kind, State, Times

WINDOW = 32
_ORDER = {kind: position for position, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Stay:
    """A stretch of time that the run spent in one state; ``end_ns`` is what ended it."""

    state: State
    start_ns: int
    end_ns: int


@dataclass(slots=True)
class Ledger:
    """The count so far and the events that are newer than it."""

    counted: Times = field(default_factory=lambda: Times(by_status=True))
    events: list[Event] = field(default_factory=list[Event])

    def add(self, event: Event) -> None:
        """Take one event in, wherever it belongs among the newest."""
        insort(self.events, event, key=_position)
        if len(self.events) > WINDOW:
            self.events = self._as_happened()
            for old in self.events[: WINDOW // 2]:
                self.counted.step(old)
            del self.events[: WINDOW // 2]

    def _as_happened(self) -> list[Event]:
        """The newest events, an enqueue before the job that started while it was under way."""
        starts = [event.at_ns for event in self.events if event.kind is Kind.JOB_STARTED]
        found = [
            replace(event, at_ns=first)
            if event.kind is Kind.ENQUEUED
            and event.from_ns
            and (first := min((at for at in starts if at >= event.from_ns), default=0))
            and first < event.at_ns
            else event
            for event in self.events
        ]
        return sorted(found, key=_position)

    def times(self, until_ns: int = 0) -> Times:
        """The times up to the last event; of a run that goes on, up to ``until_ns``."""
        times = _copy(self.counted)
        for event in self._as_happened():
            times.step(event)
        if until_ns > times.since_ns and not times.ended:
            times.advance(until_ns)
        return times

    def stays(self) -> Iterator[Stay]:
        """The stretches that are over, as far back as the newest events go.

        The provider's goes on while a job looks at the run and leaves it alone.
        """
        c, held = self.counted, None
        if c.state is State.WORKER and c.found is State.PROVIDER_RUN:
            held = Stay(c.found, c.provider_ns, c.job_ns)
        for stay, event, state in self._steps():
            if held is not None and event.kind is Kind.NO_CHANGE and state is held.state:
                held = None  # it goes on
                continue
            if held is not None:
                yield held
            held = None
            if stay.state is State.PROVIDER_RUN and event.kind is Kind.JOB_STARTED:
                held = stay
            else:
                yield stay

    def _steps(self) -> Iterator[tuple[Stay, Event, State | None]]:
        """Each stretch, with the event that ended it and the state that followed."""
        times = _copy(self.counted)
        for event in self._as_happened():
            state, since_ns, due_ns = times.state, times.since_ns, times.due_ns
            provider_ns = times.provider_ns
            times.step(event)
            if state is None or times.since_ns <= since_ns:
                continue
            if state in WAITS and 0 < due_ns < times.since_ns:
                due_ns = max(due_ns, since_ns)
                if due_ns > since_ns:
                    yield Stay(state, since_ns, due_ns), event, State.QUEUE
                yield Stay(State.QUEUE, due_ns, times.since_ns), event, times.state
            else:
                began_ns = provider_ns if state is State.PROVIDER_RUN else since_ns
                yield Stay(state, began_ns, times.since_ns), event, times.state

    def as_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        counted = asdict(self.counted)
        counted["spent_ns"] = {str(state): ns for state, ns in self.counted.spent_ns.items()}
        return {"counted": counted, "events": [packed(event) for event in self.events]}

    @classmethod
    def from_json(cls, whole: Mapping[str, Any]) -> Ledger:
        """The ledger that :meth:`as_json` gave, of this version or another.

        A state that only another version knows counts as unexplained, an event as one too late.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is not one.
        """
        given = whole["counted"]
        spent: dict[State, int] = {}
        for name, ns in given["spent_ns"].items():
            state = _known(State, name) or State.UNEXPLAINED
            spent[state] = spent.get(state, 0) + int(ns)
        times = Times(
            spent,
            _known(State, given["state"]) or (State.UNEXPLAINED if given["state"] else None),
            **{name: int(given.get(name, 0)) for name in _NUMBERS},
            ended=bool(given.get("ended")),
            found=_known(State, given.get("found")),
            by_status=True,
            submitted=bool(given.get("submitted")),
        )
        events = [unpacked(event) for event in whole["events"]]
        known = [event for event in events if event is not None]
        times.late += len(events) - len(known)
        return cls(times, known)


_NUMBERS = ("since_ns", "start_ns", "due_ns", "attempt", "late", "job_ns", "provider_ns")
_E = TypeVar("_E", bound=StrEnum)


def _known(kind: type[_E], name: Any) -> _E | None:
    try:
        return kind(name)
    except ValueError:
        return None


def _position(event: Event) -> tuple[int, int]:
    return event.at_ns, _ORDER[event.kind]


def _copy(times: Times) -> Times:
    return replace(times, spent_ns=dict(times.spent_ns))


def packed(event: Event) -> dict[str, Any]:
    """What an event says beside its defaults, for JSON: a record holds many."""
    told = {name: value for name in Event.__slots__ if (value := getattr(event, name))}
    return {**told, "at_ns": event.at_ns}


def unpacked(given: Mapping[str, Any]) -> Event | None:
    """The event that :func:`packed` gave; None where only another version knows its kind."""
    kind = _known(Kind, given["kind"])
    if kind is None:
        return None
    numbers = {name: int(given.get(name, 0)) for name in ("attempt", "due_ns", "from_ns")}
    return Event(kind, int(given["at_ns"]), wait=_known(State, given.get("wait")), **numbers)
