"""A run's record in the store, and the changes that processes make to it.

:func:`apply` is pure: the store runs it between a read and a write that Redis takes only if
nobody else wrote in between, so that each change is one atomic step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gentrace.core import names
from gentrace.core.times import Event, Kind, State
from gentrace.runtime.runs.ledger import Ledger

STAGES = ("created", "queued", "started", "account", "submitted", "provider", "finished")
UNCHANGED = "jobs.unchanged"  # counted here only: the run span has tries and requeues
KEPT = 3  # of a run's jobs that change nothing so many have spans, the others are counted
_MAX_PROCESSES = 32
_MAX_LINKS = 8
_MAX_WENT_ON = 8
_MAX_ANCHORS = 8
_MAX_OPEN = 64


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """A span that has not ended yet, so that it can be written if its process dies.

    Attributes:
        parent: hex id of its parent, empty at a root.
        kind: OpenTelemetry's number of its kind.
        attributes: the few that say what it was.
        end_ns: when it ended, where only the exporter has not taken it yet; 0 while it goes on.
    """

    span_id: str
    name: str
    parent: str
    start_ns: int
    kind: int
    instance: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    end_ns: int = 0


@dataclass(frozen=True, slots=True)
class Settling:
    """The profile's rules on statuses.

    Attributes:
        outcomes: each final status, and the outcome that it means.
        after_s: outcome to the seconds for which a final status may still be taken back.
        held: statuses of what a person has put aside.
    """

    outcomes: Mapping[str, str]
    after_s: Mapping[str, float]
    held: frozenset[str] = frozenset()

    def ns(self, outcome: str) -> int:
        """How long that outcome settles, in nanoseconds."""
        return round(self.after_s.get(outcome, 0.0) * 1e9)


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
        counts: attributes of the run span that count, and by how much they grow.
        stage: how far the run got by this, one of :data:`STAGES`.
        status: a status that was committed, at ``at_ns``.
        coming: a final status that is about to be committed.
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
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    stage: str = ""
    status: str = ""
    coming: str = ""
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


@dataclass(slots=True)
class Record:
    """Everything that the store knows of one run.

    Attributes:
        unknown: by process, how many submissions of other processes its own count lacks.
        replaced: the provider's jobs of earlier submissions.
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
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "ledger"}
        plain["open"] = {key: asdict(span) for key, span in self.open.items()}
        plain["ledger"] = self.ledger.as_list()
        return json.dumps(plain, separators=(",", ":"))

    @classmethod
    def load(cls, text: str | None) -> Record | None:
        """The record that :meth:`dump` gave; None where it is none.

        What only another version knows is left out.
        """
        try:
            whole = json.loads(text or "")
            plain = {name: whole[name] for name in whole if name in cls.__slots__}
            plain["open"] = {
                key: OpenSpan(**{name: span[name] for name in span if name in OpenSpan.__slots__})
                for key, span in plain["open"].items()
            }
            plain["ledger"] = Ledger.from_list(plain["ledger"])
            plain["links"] = [(trace, span, why) for trace, span, why in plain["links"]]
            for name in ("anchors", "executed"):
                plain[name] = [(int(at_ns), str(span)) for at_ns, span in plain[name]]
            record = cls(**plain)
            sound = all(isinstance(getattr(record, name), kind) for name, kind in _KINDS.items())
            return record if sound and 0 <= record.stage < len(STAGES) else None
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return None


_KINDS: Mapping[str, type] = {
    **dict.fromkeys(("facts", "counts", "seen", "heard", "coming", "waits", "open"), dict),
    "unknown": dict,
    "replaced": list,
    **dict.fromkeys(("processes", "incomplete", "links", "enqueued"), list),
    **dict.fromkeys(("went_on", "anchors", "executed"), list),
    **dict.fromkeys(("generation_id", "trace", "parent", "status", "outcome", "claimed"), str),
    "root": str,
    **dict.fromkeys(("number", "flags", "stage", "claimed_ns", "status_ns", "requeued_ns"), int),
}


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a change.

    Attributes:
        record: the run's record afterwards; None where there is none and nothing was begun.
        before: the record of an earlier run of the generation, which this change ended for good.
        taken: the change was new and of this run.
    """

    record: Record | None
    before: Record | None = None
    taken: bool = True


def apply(record: Record | None, generation_id: str, change: Change, rules: Settling) -> Applied:
    """The record after a change; the one given is altered."""
    before: Record | None = None
    if record is None:
        if change.existing_only or not change.trace:
            return Applied(None, taken=False)
        record = _begun(generation_id, change, max(1, change.number))
    elif _is_recreated(record, change):
        before, record = record, _begun(generation_id, change, 1)
    elif 0 < change.seq <= record.seen.get(change.instance, 0):
        return Applied(record, taken=False)
    elif _is_older(record, change):
        record.seen[change.instance] = change.seq
        record.ledger.counted.late += 1  # too late for the run that it was of
        return Applied(record)
    elif _is_another(record, change, rules):
        before, record = record, _next(record, change, rules)
    _take(record, change, rules)
    return Applied(record, before)


def _begun(generation_id: str, change: Change, number: int) -> Record:
    record = Record(generation_id, number, change.trace, change.parent, change.flags)
    received = any(event.kind is Kind.RECEIVED for event in change.events)
    if change.adopted or not received:
        # The store has lost what came before, or nobody saw it.
        record.incomplete.append(names.ADOPTED if change.adopted else names.NO_STORE)
        record.root = change.root or change.parent
    return record


def _is_recreated(record: Record, change: Change) -> bool:
    """Whether the host gave the id anew (a database that was reset): another generation."""
    created = any(event.kind is Kind.RECEIVED for event in change.events)
    return created and change.number <= 1 and change.trace not in ("", record.trace)


def _is_older(record: Record, change: Change) -> bool:
    """Whether the change was of a run before this one, and not of a process behind the times."""
    return 0 < change.number < record.number and change.at_ns < record.ledger.times().start_ns


def _is_another(record: Record, change: Change, rules: Settling) -> bool:
    """Whether the change belongs to a run after this one: its end has settled."""
    if change.number > record.number:
        return True
    ended_ns = record.ended_ns
    if not ended_ns or not change.status or rules.outcomes.get(change.status) == record.outcome:
        return False
    settled_ns = ended_ns + (0 if record.written else rules.ns(record.outcome))
    return change.at_ns > settled_ns


def _next(record: Record, change: Change, rules: Settling) -> Record:
    """The run after this one, linked to it."""
    number = max(record.number + 1, change.number)
    begun = _begun(record.generation_id, change, number)
    begun.incomplete.clear()
    if not begun.trace:  # seen by a process that knows no trace of it
        begun.trace, begun.parent, begun.flags = record.trace, record.parent, record.flags
    if begun.trace == record.trace:
        begun.root = change.root or record.root
    kept = (names.OPERATION, names.PROVIDER, names.MODEL, names.USER_ID, names.GENERATION_HASH)
    begun.facts = {name: record.facts[name] for name in kept if name in record.facts}
    why = names.LINK_PREVIOUS if record.outcome == names.FAILED else names.LINK_REOPENED
    begun.links.append((record.trace, run_span_id(record.trace, record.number), why))
    begun.seen = dict(record.seen)
    begun.ledger.add(Event(Kind.RECEIVED, change.at_ns))
    return begun


def _take(record: Record, change: Change, rules: Settling) -> None:
    if change.seq:
        record.seen[change.instance] = change.seq
    record.heard[change.instance] = max(change.at_ns, record.heard.get(change.instance, 0))
    if change.instance not in record.processes and len(record.processes) < _MAX_PROCESSES:
        record.processes.append(change.instance)
    if change.trace in ("", record.trace) and change.parent:
        record.parent = change.parent
    for given in change.events:
        if given.kind is Kind.PROVIDER_DONE and change.polled in record.replaced:
            continue  # of a submission that another has followed
        event = _waiting(record, change, _numbered(record, change, given))
        if event.kind is Kind.SUBMITTING:  # what failed before was tried again
            for name in (names.ERROR_CODE, names.ERROR_TYPE):
                record.facts.pop(name, None)
        record.ledger.add(event)
    job, known = change.facts.get(names.PROVIDER_JOB_ID), record.facts.get(names.PROVIDER_JOB_ID)
    if job is not None and known is not None and job != known:
        record.replaced = [*record.replaced, known][-_MAX_LINKS:]
    for name, value in change.facts.items():
        if value is None:
            record.facts.pop(name, None)
        else:
            record.facts[name] = value
    for name, more in change.counts.items():
        _count(record, change, name, more)
    if change.stage:
        record.stage = max(record.stage, STAGES.index(change.stage))
    record.incomplete += [what for what in change.incomplete if what not in record.incomplete]
    for link in change.links:
        if link not in record.links and len(record.links) < _MAX_LINKS:
            record.links.append(link)
    for span in change.opened:
        if span.span_id in record.open or len(record.open) < _MAX_OPEN:
            record.open[span.span_id] = span
    for span_id in change.closed:
        record.open.pop(span_id, None)
    if change.enqueued:
        _enqueued(record, change.enqueued, change.at_ns)
    record.root = record.root or change.root
    since_ns = change.events[0].at_ns if change.events else change.at_ns
    for held, span_id in ((record.anchors, change.anchor), (record.executed, change.executed)):
        if span_id:
            held[:] = sorted([*held, (since_ns, span_id)])[-_MAX_ANCHORS:]
    record.coming.pop(change.buried, None)
    if change.coming:
        record.coming[change.instance] = [change.coming, change.at_ns]
    if change.status:
        record.coming.clear()
        _status(record, change, rules)


def _waiting(record: Record, change: Change, event: Event) -> Event:
    """The event with what it waits for, where only the run's story tells."""
    if not change.enqueued or not event.due_ns or event.wait is not None:
        return event
    tried = record.failed_since or record.counts.get(names.TRIES, 0) > 0
    again = tried or change.enqueued in record.enqueued  # a person only puts off the first
    return replace(event, wait=State.RETRY_WAIT if again else State.HOLD)


def _numbered(record: Record, change: Change, event: Event) -> Event:
    """The event with the run's own number of its submission: a process counts only its own."""
    if not event.attempt:
        return event
    if event.kind is Kind.SUBMITTING:
        before = record.counts.get(names.ATTEMPTS, 0)
        record.unknown[change.instance] = before + 1 - event.attempt
    return replace(event, attempt=event.attempt + record.unknown.get(change.instance, 0))


def _count(record: Record, change: Change, name: str, more: int) -> None:
    """Count what the run did; what comes after its end counts only if that is taken back."""
    after = 0 < record.ended_ns < change.at_ns and not change.status and name != UNCHANGED
    counts = record.beyond if after else record.counts
    counts[name] = counts.get(name, 0) + more


def _count_beyond(record: Record) -> None:
    """The run's end was taken back, or came later after all."""
    for name, more in record.beyond.items():
        record.counts[name] = record.counts.get(name, 0) + more
    record.beyond.clear()


def _enqueued(record: Record, function: str, at_ns: int) -> None:
    """Count an enqueue that is one more, and follows no failure."""
    if function in record.enqueued and not record.failed_since:
        record.counts[names.REQUEUES] = record.counts.get(names.REQUEUES, 0) + 1
        record.requeued_ns = at_ns
    elif function not in record.enqueued:
        record.enqueued.append(function)
    record.failed_since = False


def _status(record: Record, change: Change, rules: Settling) -> None:
    known, at_ns = record.status, change.at_ns
    newest = at_ns >= record.status_ns
    if newest:
        record.status, record.status_ns = change.status, at_ns
    if change.status not in rules.outcomes:
        _goes_on(record, change, rules)
        return
    # Another process may have told already of what it was put back to.
    back = min((ns for ns in record.went_on if ns > at_ns), default=0)
    if record.ended_ns and known == change.status and not back:
        return  # written once more
    if record.ended_ns < at_ns:
        _count_beyond(record)
    record.ledger.add(Event(Kind.ENDED, at_ns))
    record.claimed, record.claimed_ns = "", 0  # who has it in hand writes another end
    if back:
        record.ledger.add(Event(Kind.PUT_BACK, back))
    if newest:
        record.outcome = rules.outcomes[change.status]
    if rules.outcomes[change.status] == names.FAILED:
        _failed(record, at_ns)
    elif newest:
        record.failed_since = False


def _goes_on(record: Record, change: Change, rules: Settling) -> None:
    record.went_on = [*record.went_on, change.at_ns][-_MAX_WENT_ON:]
    ended_ns = record.ended_ns
    if 0 < ended_ns < change.at_ns:
        record.ledger.add(Event(Kind.PUT_BACK, change.at_ns))
        record.claimed, record.claimed_ns = "", 0
        _count_beyond(record)
    elif change.status in rules.held:
        record.ledger.add(Event(Kind.HELD, change.at_ns))


def _failed(record: Record, at_ns: int) -> None:
    """It failed, so that what is enqueued after it is another try and no requeue."""
    if record.requeued_ns > at_ns:
        record.counts[names.REQUEUES] -= 1
        record.requeued_ns = 0
    else:
        record.failed_since = True


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
    }


def run_span_id(trace: str, number: int) -> str:
    """The run span's id, the same whoever writes it and however often."""
    import hashlib

    return hashlib.sha256(f"{trace}:{number}".encode()).hexdigest()[:16]
