"""How a change moves a run's record; pure, so that the store can make it one atomic step.

The store runs :func:`apply` between a read and a write that Redis takes only if nobody else wrote
in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gentrace.core import names
from gentrace.core.run.times import Event, Kind, State
from gentrace.runtime.runs import told
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.record import (
    MAX_OPEN,
    STAGES,
    Record,
    root_id,
    run_span_id,
    trace_after,
)
from gentrace.runtime.runs.status import Settling

_MAX_PROCESSES = 32
_MAX_LINKS = 8
_MAX_WENT_ON = 8
_MAX_ANCHORS = 8


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a change.

    Attributes:
        record: the run's record afterwards; None where there is none and nothing was begun.
        before: the record of an earlier run of the generation, which this change ended for good.
        taken: the change was new and of this run.
        too_late: it was part of a run whose span is written, and is told nowhere.
    """

    record: Record | None
    before: Record | None = None
    taken: bool = True
    too_late: bool = False


def apply(record: Record | None, generation_id: str, change: Change, rules: Settling) -> Applied:
    """The record after a change; the one given is altered."""
    before: Record | None = None
    if record is None:
        if change.existing_only or not change.trace:
            return Applied(None, taken=False)
        record = _begun(generation_id, change, max(1, change.number))
    elif 0 < change.seq <= record.seen.get(change.instance, 0):
        return Applied(record, taken=False)
    elif _is_recreated(record, change):
        begun = _begun(generation_id, change, 1)
        begun.seen = dict(record.seen)
        before, record = record, _with_open(begun, record)
    elif _is_older(record, change):
        record.seen[change.instance] = change.seq
        record.ledger.counted.late += 1  # too late for the run that it was of
        return Applied(record, too_late=True)
    elif _is_another(record, change, rules):
        before, record = record, _with_open(_next(record, change, rules), record)
    inside = _belongs_inside(record, change)
    too_late = record.written and inside
    if record.claimed and inside:
        record.claimed, record.claimed_ns = "", 0  # its span lacks this: it is written once more
    _take(record, change, rules)
    return Applied(record, before, too_late=too_late)


def _with_open(record: Record, before: Record) -> Record:
    """The record with what the run before it left open, for whoever finds its process gone."""
    for span in before.open.values():
        record.open[span.span_id] = replace(span, trace=span.trace or before.trace)
    before.open.clear()
    return record


def _belongs_inside(record: Record, change: Change) -> bool:
    """Whether the change says something of the time before the run's end."""
    moved = any(event.at_ns < record.ended_ns for event in change.events)
    counted = change.at_ns < record.ended_ns and bool(change.counts or change.facts)
    return moved or counted


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
    if begun.trace in ("", record.trace):
        # Told by a process that did not know of the end: the run gets a trace of its own here.
        begun.trace, begun.flags = trace_after(record.trace, number), record.flags
        begun.parent = begun.root = root_id(begun.trace)
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
    elsewhere = "" if change.trace in ("", record.trace) else change.trace
    if not elsewhere and change.parent:
        record.parent = change.parent
    for given in change.events:
        if given.kind is Kind.PROVIDER_DONE and change.polled in record.replaced:
            continue  # of a submission that another has followed
        event = _waiting(record, change, _numbered(record, change, given))
        if event.kind is Kind.SUBMITTING:  # what failed before was tried again
            told.forget(record, names.ERROR_FACTS)
        record.ledger.add(event)
    job, known = change.facts.get(names.PROVIDER_JOB_ID), record.facts.get(names.PROVIDER_JOB_ID)
    if job is not None and known is not None and job != known:
        record.replaced = [*record.replaced, known][-_MAX_LINKS:]
    told.facts(record, change)
    for name, more in change.counts.items():
        told.count(record, change, name, more)
    if change.stage:
        told.reached(record, change, STAGES.index(change.stage))
    record.incomplete += [what for what in change.incomplete if what not in record.incomplete]
    for link in change.links:
        if link not in record.links and len(record.links) < _MAX_LINKS:
            record.links.append(link)
    for span in change.opened:
        if span.span_id in record.open or len(record.open) < MAX_OPEN:
            record.open[span.span_id] = replace(span, trace=span.trace or elsewhere)
    for span_id in change.closed:
        record.open.pop(span_id, None)
    if change.enqueued:
        _enqueued(record, change.enqueued, change.at_ns)
    record.root = record.root or change.root
    since_ns = change.events[0].at_ns if change.events else change.at_ns
    for held, span_id in ((record.anchors, change.anchor), (record.executed, change.executed)):
        if span_id and not elsewhere:
            held[:] = sorted([*held, (since_ns, span_id)])[-_MAX_ANCHORS:]
    record.coming.pop(change.buried, None)
    if change.not_coming:
        record.coming.pop(change.instance, None)
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
        _goes_on(record, change, rules, was_held=known in rules.held)
        return
    ended = (at_ns, change.status)
    record.ends = sorted([*record.ends, ended])[-_MAX_WENT_ON:]
    # Another process may have told already of what it was put back to.
    if record.ended_ns and known == change.status and not _back_after(record, at_ns):
        return  # written once more, unless somebody tells yet that it was put back before
    _ends(record, ended, rules)


def _back_after(record: Record, at_ns: int) -> int:
    """When a run that ended then was taken up again, 0 where nobody has told of that."""
    return min((ns for ns in record.went_on if ns > at_ns), default=0)


def _ends(record: Record, ended: tuple[int, str], rules: Settling) -> None:
    at_ns, outcome = ended[0], rules.outcomes[ended[1]]
    back, newest = _back_after(record, at_ns), at_ns >= record.status_ns
    if record.ended_ns < at_ns:
        told.count_beyond(record)
    record.ledger.add(Event(Kind.ENDED, at_ns))
    record.claimed, record.claimed_ns = "", 0  # who has it in hand writes another end
    if back:
        record.ledger.add(_put_back(outcome, back))
    if newest:
        record.outcome = outcome
    if outcome == names.FAILED:
        _failed(record, at_ns)
    elif newest:
        record.failed_since = False


def _goes_on(record: Record, change: Change, rules: Settling, *, was_held: bool) -> None:
    record.went_on = [*record.went_on, change.at_ns][-_MAX_WENT_ON:]
    ended_ns = record.ended_ns
    if 0 < ended_ns < change.at_ns:
        record.ledger.add(_put_back(record.outcome, change.at_ns))
        record.claimed, record.claimed_ns = "", 0
        told.count_beyond(record)
        # ... and it may have ended again, in another process that was quicker to tell.
        again = next((each for each in record.ends if each[0] > change.at_ns), None)
        back = _back_after(record, change.at_ns)
        if again is not None and (not back or again[0] < back):
            _ends(record, again, rules)
    elif change.status in rules.held:
        record.ledger.add(Event(Kind.HELD, change.at_ns))
    elif was_held:
        record.ledger.add(Event(Kind.RESUMED, change.at_ns))


def _put_back(outcome: str, at_ns: int) -> Event:
    """An end that was taken back: a cancel that came too late leaves its submission under way."""
    goes_on = State.PROVIDER_RUN if outcome == names.CANCELLED else None
    return Event(Kind.PUT_BACK, at_ns, wait=goes_on)


def _failed(record: Record, at_ns: int) -> None:
    """It failed, so that what is enqueued after it is another try and no requeue."""
    if record.requeued_ns > at_ns:
        record.counts[names.REQUEUES] -= 1
        record.requeued_ns = 0
    else:
        record.failed_since = True
