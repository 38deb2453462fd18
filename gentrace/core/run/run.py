"""A run as its events make it: times, attributes, counts, what is open, and the waits it had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from gentrace.core import names
from gentrace.core.run.events import OpenSpan, Step
from gentrace.core.run.rules import Settling
from gentrace.core.run.times import WAITS, Event, Kind, State, Times

STAGES = ("created", "queued", "started", "account", "submitted", "provider", "finished")
UNCHANGED = "jobs.unchanged"  # counted here only: the run span has tries and requeues
KEPT = 3  # of a run's jobs that change nothing so many have spans, the others are counted
SHOWN = 3  # ... and of its waits of one kind, but for those for the provider
_SHOWN_OF_PROVIDER = 32


@dataclass(frozen=True, slots=True)
class Stay:
    """A stretch of time that the run spent in one state; ``end_ns`` is what ended it.

    Attributes:
        parent: the span that the wait hangs under, empty where only the run is known.
        nth: which stretch of that state it is, from 1.
        reason: the host's word for why it waited.
        facts: what the provider said last, for the wait for it.
    """

    state: State
    start_ns: int
    end_ns: int
    parent: str = ""
    nth: int = 0
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class Run:
    """Everything that is known of one run.

    Attributes:
        received: its creation was told.
        services: by process, its service's name and its machine, told once.
        unknown: by process, how many submissions of other processes its own count lacks.
        beyond, stage_beyond: counts and stage after its end, which may be taken back.
        reopened_by: the status that took the generation up again, where it began with that.
        replaced: the provider's jobs of earlier submissions.
        held: the stretch at the provider that goes on if the job at work changes nothing.
        anchor, executed: spans that the coming wait hangs under, of a queue and of the provider.
        pinned_ns: the end that its span was written with; 0 while it is not written.
        pinned_count: how many steps that span was made of.
        steps: how many steps are in it, but for those after its end.
    """

    number: int
    trace: str = ""
    parent: str = ""
    flags: int = 1
    received: bool = False
    times: Times = field(default_factory=lambda: Times(by_status=True))
    stays: list[Stay] = field(default_factory=list[Stay])
    shown: dict[str, int] = field(default_factory=dict[str, int])
    held: Stay | None = None
    anchor: str = ""
    executed: str = ""
    status: str = ""
    reopened_by: str = ""
    outcome: str = ""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    beyond: dict[str, int] = field(default_factory=dict[str, int])
    stage: int = 0
    stage_beyond: int = 0
    processes: list[str] = field(default_factory=list[str])
    incomplete: list[str] = field(default_factory=list[str])
    links: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    open: dict[str, OpenSpan] = field(default_factory=dict[str, OpenSpan])
    services: dict[str, tuple[str, dict[str, str]]] = field(
        default_factory=dict[str, tuple[str, dict[str, str]]]
    )
    heard: dict[str, int] = field(default_factory=dict[str, int])
    coming: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    enqueued: list[str] = field(default_factory=list[str])
    failed_since: bool = False
    root: str = ""
    unknown: dict[str, int] = field(default_factory=dict[str, int])
    replaced: list[str] = field(default_factory=list[str])
    last_by: str = ""
    pinned_ns: int = 0
    pinned_count: int = 0
    steps: int = 0

    @property
    def mark(self) -> str:
        """What tells this run from the generation's others."""
        return f"{self.number}-{self.trace}"

    @property
    def written(self) -> bool:
        """Its span is out."""
        return self.pinned_ns > 0

    @property
    def ended_ns(self) -> int:
        """When its final status was committed, 0 while it has none."""
        return self.times.since_ns if self.times.ended else 0

    def due_ns(self, rules: Settling) -> int:
        """When its end is certain, 0 while it has none or its span is out."""
        ended_ns = self.ended_ns
        return 0 if not ended_ns or self.pinned_ns else ended_ns + rules.ns(self.outcome)

    def left_by(self, instance: str) -> list[OpenSpan]:
        """The spans of that process that nobody has but the store."""
        service, host = self.services.get(instance, ("", {}))
        return [
            span if span.service else replace(span, service=service, host=host)
            for span in self.open.values()
            if span.instance == instance
        ]

    def holders(self) -> set[str]:
        """The processes whose death would leave something of this run to others."""
        return {span.instance for span in self.open.values()} | self.coming.keys()

    # -- times -----------------------------------------------------------------------------
    def move(self, event: Event) -> None:
        """Apply one event, and keep the stretch that it ended."""
        times = self.times
        state, since_ns, due_ns = times.state, times.since_ns, times.due_ns
        provider_ns = times.provider_ns
        times.step(event)
        if state is None or times.since_ns <= since_ns:
            return
        if state in WAITS and 0 < due_ns < times.since_ns:
            due_ns = max(due_ns, since_ns)
            if due_ns > since_ns:
                self._over(state, since_ns, due_ns, event, State.QUEUE)
            self._over(State.QUEUE, due_ns, times.since_ns, event, times.state)
        else:
            began_ns = provider_ns if state is State.PROVIDER_RUN else since_ns
            self._over(state, began_ns, times.since_ns, event, times.state)

    def _over(
        self, state: State, start_ns: int, end_ns: int, event: Event, then: State | None
    ) -> None:
        """A stretch is over; the provider's goes on while a job looks and changes nothing."""
        held, self.held = self.held, None
        if held is not None and event.kind is Kind.NO_CHANGE and then is held.state:
            return
        if held is not None:
            self._keep(held)
        at_provider = state is State.PROVIDER_RUN
        stay = Stay(state, start_ns, end_ns, self.executed if at_provider else self.anchor)
        if at_provider and event.kind is Kind.JOB_STARTED:
            self.held = stay
        else:
            self._keep(stay)

    def _keep(self, stay: Stay) -> None:
        last = self.stays[-1] if self.stays else None
        if last is not None and last.state is stay.state and last.end_ns == stay.start_ns:
            self.stays[-1] = replace(last, end_ns=stay.end_ns)
            return
        nth = self.shown[stay.state] = self.shown.get(stay.state, 0) + 1
        at_provider = stay.state is State.PROVIDER_RUN
        if nth > (_SHOWN_OF_PROVIDER if at_provider else SHOWN):
            return
        self.stays.append(replace(stay, nth=nth))

    def describe_stays(self, since: int) -> None:
        """Say of the stretches from the ``since``-th on what is known now that they are over."""
        for position, stay in enumerate(self.stays[since:], since):
            if stay.state in WAITS:
                reason = str(self.facts.get(names.WAIT_REASON, ""))
                self.stays[position] = replace(stay, reason=reason)
            elif stay.state is State.PROVIDER_RUN:
                facts = {name: self.facts[name] for name in ON_THE_WAIT if name in self.facts}
                self.stays[position] = replace(stay, facts=facts)

    # -- attributes ------------------------------------------------------------------------
    def tell(self, step: Step) -> None:
        """Take in attributes; what is told of a failure replaces what was told of another."""
        told = step.facts
        exception = (names.ERROR_TYPE, names.ERROR_CAUSE)
        of_another = any(told.get(name) != self.facts.get(name) for name in exception)
        if names.ERROR_TYPE in told and of_another:
            self.forget(name for name in names.ERROR_FACTS if name != names.ERROR_CODE)
        self.forget(name for name, value in told.items() if value is None)
        self.facts |= {name: value for name, value in told.items() if value is not None}
        for name, value in step.asked.items():
            self.facts.setdefault(name, value)

    def forget(self, names_: Iterable[str]) -> None:
        """Take these attributes back."""
        for name in names_:
            self.facts.pop(name, None)

    def reached(self, stage: int, *, after: bool) -> None:
        """How far the run got; what comes after its end counts only if that is taken back."""
        if after:
            self.stage_beyond = max(self.stage_beyond, stage)
        else:
            self.stage = max(self.stage, stage)

    def count(self, name: str, more: int, *, after: bool) -> None:
        """Count what the run did; what comes after its end counts only if that is taken back."""
        counts = self.beyond if after and name != UNCHANGED else self.counts
        counts[name] = counts.get(name, 0) + more

    def count_beyond(self) -> None:
        """The run's end was taken back."""
        for name, more in self.beyond.items():
            self.counts[name] = self.counts.get(name, 0) + more
        self.beyond.clear()
        self.stage, self.stage_beyond = max(self.stage, self.stage_beyond), 0

    # -- JSON ------------------------------------------------------------------------------
    def plain(self) -> dict[str, Any]:
        """What JSON can hold of it, without what is as it is by default."""
        told = {
            name: value
            for name in self.__slots__
            if (value := getattr(self, name)) != getattr(_NEW, name)
        }
        told["number"] = self.number
        told["times"] = asdict(self.times)
        told["open"] = [span.plain() for span in self.open.values()]
        told["stays"] = [asdict(stay) for stay in self.stays]
        told["held"] = asdict(self.held) if self.held is not None else None
        return told

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Run:
        """The run that :meth:`plain` gave, in this version or another.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is none.
        """
        found = {name: plain[name] for name in cls.__slots__ if name in plain}
        found["times"] = _times(plain["times"])
        opened = [OpenSpan.of(span) for span in plain.get("open", ())]
        found["open"] = {span.span_id: span for span in opened}
        found["stays"] = [_stay(stay) for stay in plain.get("stays", ())]
        held = plain.get("held")
        found["held"] = _stay(held) if held else None
        found["links"] = [(str(t), str(s), str(w)) for t, s, w in plain.get("links", ())]
        coming = plain.get("coming", {})
        services = plain.get("services", {})
        found["services"] = {
            str(i): (str(name), dict(host)) for i, (name, host) in services.items()
        }
        found["coming"] = {str(who): (str(s), int(at)) for who, (s, at) in coming.items()}
        for name, kind in _COPIED.items():
            if name in found:
                found[name] = kind(found[name])
        return cls(**found)


ON_THE_WAIT = (names.PROVIDER_STATUS, names.PROVIDER_PROGRESS, names.PROVIDER_JOB_ID)
_NEW = Run(0)
_COPIED = {
    each.name: dict if str(each.type).startswith("dict") else list
    for each in fields(Run)
    if str(each.type).startswith(("dict[", "list["))
}


def _state(name: Any) -> State | None:
    if not name:
        return None
    return State(name) if name in set(State) else State.UNEXPLAINED


def _stay(given: Mapping[str, Any]) -> Stay:
    told: dict[str, Any] = {name: given[name] for name in Stay.__slots__ if name in given}
    told["state"] = _state(given["state"])
    return Stay(**told)


def _times(given: Mapping[str, Any]) -> Times:
    told: dict[str, Any] = {name: given[name] for name in Times.__slots__ if name in given}
    spent: dict[State, int] = {}
    for name, ns in given["spent_ns"].items():
        state = _state(name) or State.UNEXPLAINED
        spent[state] = spent.get(state, 0) + int(ns)
    told |= {"spent_ns": spent, "by_status": True}
    told |= {"state": _state(given.get("state")), "found": _state(given.get("found"))}
    return Times(**told)


def run_span_id(trace: str, number: int) -> str:
    """The run span's id, the same whoever writes it and however often."""
    return hashlib.sha256(f"{trace}:{number}".encode()).hexdigest()[:16]


def trace_after(trace: str, number: int) -> str:
    """The trace of a run that nobody began in one of its own, the same whoever asks."""
    return hashlib.sha256(f"{trace}:{number}:after".encode()).hexdigest()[:32]


def trace_of(name: str, ended_ns: int) -> str:
    """The trace of a run of which nobody knows one, the same whoever asks.

    Args:
        name: of its list in Redis, which no other generation has.
    """
    return hashlib.sha256(f"{name}:{ended_ns}".encode()).hexdigest()[:32]


def root_id(trace: str) -> str:
    """The root span's id of a trace that the store begins."""
    return hashlib.sha256(f"{trace}:root".encode()).hexdigest()[:16]
