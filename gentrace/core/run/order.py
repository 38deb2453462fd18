"""The order in which a run's steps happened, whatever order they were told in.

Steps are sorted by time. Causes come before what they bring about, whatever the clocks say: a
creation before the rest of its run, an enqueue before its job, a submission before its end, and
statuses as the database had them follow each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gentrace.core import names
from gentrace.core.run.events import Died, Step, Written
from gentrace.core.run.times import Event, Kind

_RANK = {kind: position for position, kind in enumerate(Kind)}
_LAST = len(_RANK)
_UNSEEN_NS = 2 * 10**9
"""So long a commit may stay unseen in a busy process."""
_MOST_NS = 600 * 10**9
"""What is further before its creation than clocks are apart was of another generation."""


@dataclass(slots=True)
class Placed:
    """A step, a death or a written end where it belongs; ``late`` is whether it had to be moved."""

    at_ns: int
    rank: int
    what: Step | Died | Written
    events: tuple[Event, ...] = ()
    late: bool = False

    @property
    def key(self) -> tuple[int, int, str, int]:
        """Its place among all of them."""
        n = self.what.n if isinstance(self.what, Step) else 0
        return self.at_ns, self.rank, self.what.instance, n

    def move(self, at_ns: int) -> None:
        """It cannot have been before that; its clock was behind."""
        if at_ns > self.at_ns:
            self.events = tuple(replace(e, at_ns=max(e.at_ns, at_ns)) for e in self.events)
            self.at_ns, self.late = at_ns, True


def ordered(steps: Iterable[Step], ends: Iterable[Written], deaths: Iterable[Died]) -> list[Placed]:
    """Everything that was told of a generation, as it happened."""
    placed = [_placed(step) for step in steps]
    heard: dict[str, int] = {}
    for each in placed:
        if isinstance(each.what, Step):
            heard[each.what.instance] = max(each.what.at_ns, heard.get(each.what.instance, 0))
    for end in ends:
        placed.append(Placed(end.end_ns, _LAST, end))
    for death in deaths:
        at_ns = max(death.last_ns, heard.get(death.instance, 0))
        placed.append(Placed(at_ns, _LAST + 1, death))
    placed.sort(key=lambda each: each.key)
    moved = _after_their_creation(placed)
    moved |= _jobs_after_their_enqueue(placed)
    moved |= _enqueues_before_their_start(placed)
    moved |= _ends_after_their_submission(placed)
    if moved:
        placed.sort(key=lambda each: each.key)
    _statuses_in_a_row(placed)
    return placed


def _placed(step: Step) -> Placed:
    if step.events:
        first = step.events[0]
        return Placed(first.at_ns, _RANK[first.kind], step, step.events)
    ends = step.status or step.coming
    return Placed(step.at_ns, _RANK[Kind.ENDED] if ends else _LAST, step)


def _after_their_creation(placed: list[Placed]) -> bool:
    """What a run did before its creation was told by a clock that was behind."""
    begun: dict[int, list[tuple[int, str]]] = {}
    for each in placed:
        for event in each.events:
            if event.kind is Kind.RECEIVED and isinstance(each.what, Step):
                begun.setdefault(each.what.number, []).append((event.at_ns, each.what.trace))
    moved = False
    for each in placed:
        step = each.what
        created = begun.get(step.number, []) if isinstance(step, Step) and step.trace else []
        for at_ns, trace in created:
            if isinstance(step, Step) and trace != step.trace and len(created) > 1:
                continue  # an id that was given anew: another generation's
            if at_ns - _MOST_NS < each.at_ns < at_ns:
                each.move(at_ns)
                moved = True
    return moved


def _jobs_after_their_enqueue(placed: list[Placed]) -> bool:
    """A job starts when its enqueue has begun, or later."""
    sent: dict[str, int] = {}
    for each in placed:
        if isinstance(each.what, Step) and each.what.job and each.what.enqueued:
            event = next((e for e in each.events if e.kind is Kind.ENQUEUED), None)
            if event is not None:
                sent.setdefault(each.what.job, event.from_ns or event.at_ns)
    moved = False
    for each in placed:
        step = each.what
        if not isinstance(step, Step) or not step.job or step.enqueued:
            continue
        at_ns = sent.get(step.job, 0)
        if each.at_ns < at_ns:
            each.move(at_ns)
            moved = True
    return moved


def _enqueues_before_their_start(placed: list[Placed]) -> bool:
    """An enqueue may return in one process after its job has started in another."""
    starts = [e.at_ns for each in placed for e in each.events if e.kind is Kind.JOB_STARTED]
    moved = False
    for each in placed:
        event = each.events[0] if each.events else None
        if event is None or event.kind is not Kind.ENQUEUED or not event.from_ns:
            continue
        first = min((at_ns for at_ns in starts if at_ns >= event.from_ns), default=0)
        if first and first < event.at_ns:
            each.at_ns, each.events = first, (replace(event, at_ns=first), *each.events[1:])
            moved = True
    return moved


def _ends_after_their_submission(placed: list[Placed]) -> bool:
    """The provider is done with a job after it was given it."""
    submitted: dict[str, int] = {}
    for each in placed:
        if isinstance(each.what, Step):
            job = each.what.facts.get(names.PROVIDER_JOB_ID)
            if job and any(e.kind is Kind.SUBMITTED for e in each.events):
                submitted[str(job)] = each.at_ns
    moved = False
    for each in placed:
        step = each.what
        if not isinstance(step, Step) or not step.polled or not each.events:
            continue
        at_ns = submitted.get(step.polled, 0)
        if each.at_ns < at_ns:
            each.move(at_ns)
            moved = True
    return moved


def _statuses_in_a_row(placed: list[Placed]) -> None:
    """Put a status where it belongs that was told late: each tells what was before it.

    A commit is seen when it has returned, perhaps after other processes have acted on it.
    """
    told: list[tuple[Step, Placed]] = []
    for each in list(placed):
        step = each.what
        if not isinstance(step, Step) or not step.status:
            continue
        gap = next((i for i in range(len(told) - 1, 0, -1) if _fits(told, i, step, each)), 0)
        if gap:
            later = told[gap][1]
            placed.remove(each)
            each.at_ns, each.late = later.at_ns, True
            placed.insert(placed.index(later), each)
            told.insert(gap, (step, each))
            continue
        told.append((step, each))


def _fits(told: list[tuple[Step, Placed]], position: int, step: Step, at: Placed) -> bool:
    """Whether that status is missing between these two, which were not long ago."""
    before, (after, then) = told[position - 1][0], told[position]
    missing = after.old not in ("", before.status) and step.old == before.status
    return missing and after.old == step.status and at.at_ns - then.at_ns < _UNSEEN_NS
