"""A run's record: everything that the store knows of one run, as JSON in Redis."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gentrace.runtime.runs.ledger import Ledger
from gentrace.runtime.runs.status import Settling

STAGES = ("created", "queued", "started", "account", "submitted", "provider", "finished")
UNCHANGED = "jobs.unchanged"  # counted here only: the run span has tries and requeues
KEPT = 3  # of a run's jobs that change nothing so many have spans, the others are counted
MAX_OPEN = 64
VERSION = 1  # of the record, raised when an older gentrace could not read it any more


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
    def of(cls, given: Mapping[str, Any]) -> OpenSpan:
        """One out of JSON, of this version or another."""
        return cls(**{name: given[name] for name in given if name in cls.__slots__})


@dataclass(slots=True)
class Record:
    """Everything that the store knows of one run.

    Attributes:
        unknown: by process, how many submissions of other processes its own count lacks.
        beyond, stage_beyond: counts and stage after its end, which may be taken back.
        replaced: the provider's jobs of earlier submissions.
        went_on, ends: when it had a status that is not final, and when which that is.
        rest: what another version has written beside; it stays where it is.
    """

    generation_id: str
    number: int
    trace: str
    parent: str
    flags: int = 1
    ledger: Ledger = field(default_factory=Ledger)
    status: str = ""
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
    seen: dict[str, int] = field(default_factory=dict[str, int])
    heard: dict[str, int] = field(default_factory=dict[str, int])
    coming: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    enqueued: list[str] = field(default_factory=list[str])
    failed_since: bool = False
    status_ns: int = 0
    went_on: list[int] = field(default_factory=list[int])
    ends: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    requeued_ns: int = 0
    root: str = ""
    anchors: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    executed: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    unknown: dict[str, int] = field(default_factory=dict[str, int])
    replaced: list[str] = field(default_factory=list[str])
    waits: dict[str, int] = field(default_factory=dict[str, int])
    claimed: str = ""
    claimed_ns: int = 0
    written: bool = False
    rest: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def mark(self) -> str:
        """What tells this run from the generation's others."""
        return f"{self.number}-{self.trace}"

    def left_by(self, instance: str) -> list[OpenSpan]:
        """The spans of that process that nobody has yet but this record."""
        return [span for span in self.open.values() if span.instance == instance]

    def holders(self) -> set[str]:
        """The processes whose death would leave something of this run to others."""
        return {span.instance for span in self.open.values()} | self.coming.keys()

    def came(self, instance: str) -> tuple[str, int] | None:
        """The final status that a process was about to commit when it was last heard of.

        Nobody has told of anything since: had it not been committed, its generation would have
        been taken up again.
        """
        status, at_ns = self.coming.get(instance, ("", 0))
        times = self.ledger.times()
        moved = times.ended or times.since_ns > at_ns
        return None if not status or moved else (str(status), int(at_ns))

    @property
    def ended_ns(self) -> int:
        """When its final status was committed, 0 while it has none."""
        times = self.ledger.times()
        return times.since_ns if times.ended else 0

    def due_ns(self, rules: Settling) -> int:
        """When its end is certain, 0 while it has none or it is written already."""
        ended_ns = self.ended_ns
        return 0 if not ended_ns or self.written else ended_ns + rules.ns(self.outcome)

    def dump(self) -> str:
        """The record as JSON."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "rest"}
        plain["open"] = {key: asdict(span) for key, span in self.open.items()}
        plain["ledger"] = self.ledger.as_json()
        return json.dumps({**self.rest, **plain}, separators=(",", ":"))

    @classmethod
    def load(cls, text: str | None) -> Record | None:
        """The record that :meth:`dump` gave, in this version or another; None where it is none."""
        try:
            whole = json.loads(text or "")
            plain = {name: whole.pop(name) for name in cls.__slots__ if name in whole}
            plain["open"] = {key: OpenSpan.of(span) for key, span in plain.get("open", {}).items()}
            plain["ledger"] = Ledger.from_json(plain["ledger"])
            plain["links"] = [(trace, span, why) for trace, span, why in plain.get("links", ())]
            for name in ("anchors", "executed", "ends"):
                plain[name] = [(int(at_ns), str(span)) for at_ns, span in plain.get(name, ())]
            record = cls(**plain, rest=whole)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return None
        sound = all(isinstance(getattr(record, name), kind) for name, kind in _KINDS.items())
        stages = record.stage, record.stage_beyond
        known = all(0 <= stage < len(STAGES) for stage in stages) if sound else False
        return record if known else None


_KINDS: Mapping[str, type] = {
    each.name: {"dict": dict, "list": list, "str": str, "int": int}[kind]
    for each in fields(Record)
    if (kind := str(each.type).partition("[")[0]) in ("dict", "list", "str", "int")
}


def fields_of(record: Record) -> dict[str, str]:
    """The hash that the store keeps of a run; ``state`` and ``since`` are for the commands."""
    times = record.ledger.times()
    return {
        "trace": record.trace,
        "parent": record.parent,
        "flags": f"{record.flags:02x}",
        "number": str(record.number),
        "status": record.status,
        "state": "" if times.ended or times.state is None else times.state.value,
        "since": str(times.since_ns),
        "due": str(times.due_ns),
        "record": record.dump(),
        "version": str(VERSION),
    }


def run_span_id(trace: str, number: int) -> str:
    """The run span's id, the same whoever writes it and however often."""
    return hashlib.sha256(f"{trace}:{number}".encode()).hexdigest()[:16]


def trace_after(trace: str, number: int) -> str:
    """The trace of a run that the store begins after another, the same whoever begins it."""
    return hashlib.sha256(f"{trace}:{number}:after".encode()).hexdigest()[:32]


def root_id(trace: str) -> str:
    """The root span's id of a trace that the store begins."""
    return hashlib.sha256(f"{trace}:root".encode()).hexdigest()[:16]
