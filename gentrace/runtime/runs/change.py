"""What one process saw of a run, as it is told to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from gentrace.core.run.times import Event
from gentrace.runtime.runs.ledger import packed, unpacked
from gentrace.runtime.runs.record import OpenSpan


@dataclass(frozen=True, slots=True)
class Change:
    """What one process saw of a run.

    Attributes:
        instance: the process, and ``seq`` which of its changes this is: applied once only. Those
            that do not count (0) may be applied again.
        trace, parent: the run's trace and the span that later work hangs under (hex); empty
            where the process does not know them.
        number: which run of the generation, 0 for the current one.
        events: what moves the times.
        facts: attributes of the run span; a None takes one back.
        asked: attributes of the run span that count only where nobody has told them.
        counts: attributes of the run span that count, and by how much they grow.
        stage: how far the run got by this, one of :data:`STAGES`.
        status: a status that was committed, at ``at_ns``.
        coming: a final status that is about to be committed.
        not_coming: ... and will not be after all.
        opened, closed: spans that began, and ids of spans that ended.
        root: the span that the run span hangs under.
        enqueued: the function whose job was put on a queue.
        anchor: span that the coming wait hangs under.
        executed: span of the submission that the wait for the provider hangs under.
        polled: the provider's job whose status was read.
        adopted: the process had to begin the run without knowing its creation.
        existing_only: nothing is begun by this.
        buried: a process that died: it will commit nothing any more.
    """

    instance: str
    seq: int
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
    coming: str = ""
    not_coming: bool = False
    incomplete: tuple[str, ...] = ()
    links: tuple[tuple[str, str, str], ...] = ()
    opened: tuple[OpenSpan, ...] = ()
    closed: tuple[str, ...] = ()
    enqueued: str = ""
    root: str = ""
    anchor: str = ""
    executed: str = ""
    polled: str = ""
    adopted: bool = False
    existing_only: bool = False
    buried: str = ""

    def plain(self) -> dict[str, Any]:
        """What of it is not as it is by default, for JSON."""
        found: dict[str, Any] = {}
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value == default:
                continue
            if name == "events":
                value = [packed(event) for event in value]
            elif name == "opened":
                value = [{each: getattr(span, each) for each in _OF_SPAN} for span in value]
            found[name] = value
        return found

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Change:
        """The change that :meth:`plain` gave, in this version or another.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is none.
        """
        found = {name: value for name, value in plain.items() if name in _DEFAULTS}
        found["events"] = tuple(unpacked(each) for each in found.get("events", ()))
        if None in found["events"]:
            raise ValueError("an event that this version does not know")
        found["opened"] = tuple(OpenSpan.of(span) for span in found.get("opened", ()))
        for name in ("incomplete", "closed"):
            found[name] = tuple(str(each) for each in found.get(name, ()))
        found["links"] = tuple((str(t), str(s), str(w)) for t, s, w in found.get("links", ()))
        for name in ("facts", "asked", "counts"):
            found[name] = dict(found.get(name, {}))
        for name in ("seq", "at_ns", "flags", "number"):
            found[name] = int(found.get(name, _DEFAULTS[name]))
        return cls(**found)


_OF_SPAN = tuple(OpenSpan.__slots__)
_DEFAULTS: Mapping[str, Any] = {
    each.name: each.default_factory() if each.default_factory is not MISSING else each.default
    for each in fields(Change)
}
