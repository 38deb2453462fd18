"""The events of a run, as processes append them to its list in Redis, to and from JSON.

One element of the list is a batch: the steps that one process told one after another. Every event
has an id (process and number), so that a batch that was sent twice counts once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from gentrace.core.run.times import Event, Kind, State

VERSION = 2  # of a batch, raised when an older gentrace could not read it any more
SKEW_NS = 20_000_000
"""Clocks that differ by less are taken for one: their difference is not known any better."""
_encoded = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """A span that has not ended yet, so that it can be written if its process dies.

    Attributes:
        parent: hex id of its parent, empty at a root.
        kind: OpenTelemetry's number of its kind.
        attributes: the few that say what it was.
        end_ns: when it ended, where only the exporter has not taken it yet; 0 while it goes on.
        trace: its trace, where that is an earlier run's; else empty.
        service: the service's name of its process.
        host: ``host.name`` and ``host.id`` of its machine.
    """

    span_id: str
    name: str
    parent: str
    start_ns: int
    kind: int
    instance: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    end_ns: int = 0
    trace: str = ""
    service: str = ""
    host: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, given: Mapping[str, Any], instance: str = "") -> OpenSpan:
        """One out of JSON, of this version or another, told by that process."""
        told: dict[str, Any] = {"instance": instance}
        told |= {name: given[name] for name in given if name in cls.__slots__}
        return cls(**told)

    def plain(self, instance: str = "") -> dict[str, Any]:
        """What JSON can hold of it, without the process that is known from elsewhere."""
        told = {name: getattr(self, name) for name in self.__slots__}
        if instance == self.instance:
            del told["instance"]
        return {name: value for name, value in told.items() if value or name in _NEEDED}


_NEEDED = frozenset({"span_id", "name", "parent", "start_ns", "kind", "instance"})


@dataclass(frozen=True, slots=True)
class Step:
    """What one process saw of a run at one moment; it counts as a whole.

    Attributes:
        instance, n: the process, and which of its steps this is.
        trace, parent, flags: the run's trace and the span that later work hangs under (hex);
            empty where the process does not know them.
        number: which run of the generation, 0 for the current one.
        events: what moves the times.
        facts: attributes of the run span; a None takes one back.
        asked: attributes of the run span that count only where nobody has told them.
        counts: attributes of the run span that count, and by how much they grow.
        stage: how far the run got by this, one of :data:`gentrace.core.run.run.STAGES`.
        status: a status that was committed, at ``at_ns``; ``old`` is what it was before.
        coming: a final status that is about to be committed.
        not_coming: that status will not be committed after all.
        opened: spans that others would have to write, should the process die.
        ended: ids of such spans that are over, when (ns), and what else they say by now; the
            exporter has not taken them yet.
        closed: ids of such spans that the exporter has.
        root: the span that the run span hangs under.
        enqueued: the function whose job was put on a queue.
        job: names ARQ's job, by a hash of its id.
        anchor: span that the coming wait hangs under.
        executed: span of the submission that the wait for the provider hangs under.
        polled: the provider's job whose status was read.
        adopted: the process had to begin the run without knowing its creation.
        skew_ns: by how much the process's clock was ahead of Redis's, where that is sure.
    """

    instance: str
    n: int
    at_ns: int
    trace: str = ""
    parent: str = ""
    flags: int = 1
    number: int = 0
    events: tuple[Event, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    stage: str = ""
    status: str = ""
    old: str = ""
    coming: str = ""
    not_coming: bool = False
    incomplete: tuple[str, ...] = ()
    links: tuple[tuple[str, str, str], ...] = ()
    opened: tuple[OpenSpan, ...] = ()
    ended: tuple[tuple[str, int, Mapping[str, Any]], ...] = ()
    closed: tuple[str, ...] = ()
    enqueued: str = ""
    job: str = ""
    root: str = ""
    anchor: str = ""
    executed: str = ""
    polled: str = ""
    adopted: bool = False
    skew_ns: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """The exporter has taken the run's span: its end does not move any more."""

    instance: str
    number: int
    trace: str
    end_ns: int
    count: int


@dataclass(frozen=True, slots=True)
class Died:
    """A process is gone without a word; ``last_ns`` is its last sign of life."""

    instance: str
    last_ns: int


@dataclass(frozen=True, slots=True)
class Compact:
    """What the oldest steps of a long story came to.

    Attributes:
        at_ns: the last of them.
        upto: by process, the highest number among them.
        runs: the runs as they were then, as :meth:`gentrace.core.run.run.Run.plain` gives them.
        count: how many there were.
    """

    at_ns: int
    upto: Mapping[str, int]
    runs: tuple[Mapping[str, Any], ...]
    count: int


RunEvent = Step | Written | Died | Compact


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event that only another version knows; it changes nothing and is counted."""


# -- steps -------------------------------------------------------------------------------------
_HEAD = ("trace", "parent", "flags", "number", "adopted")
"""What the steps of a batch have in common."""
_DEFAULTS: Mapping[str, Any] = {
    each.name: each.default_factory() if each.default_factory is not MISSING else each.default
    for each in fields(Step)
    if each.name != "instance"
}
_BODY = tuple(n for n in _DEFAULTS if n not in _HEAD and n not in ("n", "skew_ns"))
_PLAIN: Mapping[str, type] = {
    name: type(_DEFAULTS[name])
    for name in _BODY
    if isinstance(_DEFAULTS[name], str | bool) or name in ("facts", "asked", "counts")
}


def head(step: Step) -> str:
    """What the steps that are sent in one batch have in common, but for the span to hang under."""
    return f"{step.trace}-{step.number}-{step.flags}-{step.adopted:d}-{step.skew_ns}"


def body(step: Step, n: int = 0) -> str:
    """A step as JSON without what its batch tells; ``n`` is its number, where it has none yet."""
    plain: dict[str, Any] = {"n": n or step.n}
    for name in _BODY:
        value = getattr(step, name)
        if value == _DEFAULTS[name]:
            continue
        if name == "events":
            value = [packed(event) for event in value]
        elif name == "opened":
            value = [span.plain(step.instance) for span in value]
        plain[name] = value
    return _encoded(plain)


def batch(steps: Step, bodies: list[str], parent: str) -> str:
    """One element of the list: steps of one head, whose bodies :func:`body` gave.

    Args:
        steps: any of them.
        parent: the span that later work hangs under after the last of them.
    """
    shared: dict[str, Any] = {"v": VERSION, "i": steps.instance}
    told = {**{name: getattr(steps, name) for name in _HEAD}, "parent": parent}
    shared |= {name: value for name, value in told.items() if value != _DEFAULTS[name]}
    if steps.skew_ns:
        shared["skew_ns"] = steps.skew_ns
    return f'{_encoded(shared)[:-1]},"e":[{",".join(bodies)}]}}'


def _step(shared: Mapping[str, Any], plain: Mapping[str, Any]) -> Step:
    if not isinstance(plain["n"], int):
        raise TypeError("a step without a number")
    found: dict[str, Any] = {name: plain[name] for name in _PLAIN if name in plain}
    for name, value in found.items():
        if not isinstance(value, _PLAIN[name]):
            raise TypeError(f"{name} is of another type")
    events = tuple(unpacked(each) for each in plain.get("events", ()))
    found["events"] = tuple(event for event in events if event is not None)
    instance = str(shared["i"])
    found["opened"] = tuple(OpenSpan.of(span, instance) for span in plain.get("opened", ()))
    found["ended"] = tuple((str(i), int(ns), dict(more)) for i, ns, more in plain.get("ended", ()))
    for name in ("incomplete", "closed"):
        found[name] = tuple(str(each) for each in plain.get(name, ()))
    found["links"] = tuple((str(t), str(s), str(w)) for t, s, w in plain.get("links", ()))
    for name in ("flags", "number", "skew_ns"):
        found[name] = int(shared.get(name, _DEFAULTS[name]))
    for name in ("trace", "parent"):
        found[name] = str(shared.get(name, ""))
    found["adopted"] = bool(shared.get("adopted"))
    return corrected(Step(instance, plain["n"], int(plain["at_ns"]), **found))


def corrected(step: Step) -> Step:
    """The step by Redis's clock, where its process's differs from that for sure."""
    skew_ns = step.skew_ns
    if abs(skew_ns) < SKEW_NS:
        return step
    moved = tuple(
        replace(
            event,
            at_ns=event.at_ns - skew_ns,
            due_ns=event.due_ns - skew_ns if event.due_ns else 0,
            from_ns=event.from_ns - skew_ns if event.from_ns else 0,
        )
        for event in step.events
    )
    return replace(step, at_ns=step.at_ns - skew_ns, events=moved)


# -- the list ----------------------------------------------------------------------------------
def dump(event: Written | Died | Compact) -> str:
    """An event that is no step, as one element of the list."""
    plain = {name: getattr(event, name) for name in event.__slots__}
    return _encoded({"v": VERSION, "k": type(event).__name__.lower(), **plain})


def load(text: str) -> Iterator[RunEvent | Unknown]:
    """The events of one element of the list, of this version or another."""
    try:
        whole = json.loads(text)
        kind = whole.get("k")
        if kind is not None:
            yield _of(kind, whole)
            return
        plain_steps = list(whole["e"])
    except (ValueError, TypeError, KeyError, AttributeError):
        yield Unknown()
        return
    for plain in plain_steps:
        try:
            step: RunEvent | Unknown = _step(whole, plain)
        except (ValueError, TypeError, KeyError, AttributeError):
            step = Unknown()
        yield step


def _of(kind: str, whole: Mapping[str, Any]) -> RunEvent | Unknown:
    if kind == "written":
        numbers = int(whole["number"]), str(whole["trace"]), int(whole["end_ns"])
        return Written(str(whole["instance"]), *numbers, int(whole["count"]))
    if kind == "died":
        return Died(str(whole["instance"]), int(whole["last_ns"]))
    if kind == "compact":
        upto = {str(name): int(n) for name, n in whole["upto"].items()}
        return Compact(int(whole["at_ns"]), upto, tuple(whole["runs"]), int(whole["count"]))
    return Unknown()


def packed(event: Event) -> dict[str, Any]:
    """What an event says beside its defaults, for JSON."""
    told = {name: value for name in Event.__slots__ if (value := getattr(event, name))}
    return {**told, "at_ns": event.at_ns}


def unpacked(given: Mapping[str, Any]) -> Event | None:
    """The event that :func:`packed` gave; None where only another version knows its kind."""
    try:
        kind = Kind(given["kind"])
    except ValueError:
        return None
    wait = given.get("wait")
    known = State(wait) if wait in set(State) else None
    numbers = {name: int(given.get(name, 0)) for name in ("attempt", "due_ns", "from_ns")}
    return Event(kind, int(given["at_ns"]), wait=known, **numbers)
