"""Where a run's time went: the run span's own account, else events derived from its spans.

The states and what moves them are core's (:mod:`gentrace.core.run.times`); here is only which span
tells of which event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gentrace.analysis.parts import Parts
from gentrace.core import names
from gentrace.core.profile import Profile
from gentrace.core.run.times import LONGEST_S, Event, Kind, State, Times, tally
from gentrace.core.spans import Span

_PENDING = Profile(name="", packages=(), targets=()).provider_pending
_NOT_PUT = frozenset({"leased", "duplicate"})
_HELD = frozenset({"paused", "scheduled"})
ROUNDED_NS = 1_000
"""A store may know moments to the microsecond only."""
_ACCOUNT_WORDS = ("account", "capacity", "concurrent", "credit", "quota", "slot", "limit")


def times(parts: Parts) -> Times:
    """The additive times of a run; they sum to its run span's duration, where it has one.

    What the times leave out of it is unexplained, what is too much of them is cut in proportion;
    :func:`missing_ns` tells how much. For a run that has not ended they reach to the last sign of
    life in its spans, and :attr:`Times.state` is what it was doing then.
    """
    found = _told(parts) or derived(parts)
    whole_ns = length_ns(parts)
    if parts.run is not None and whole_ns is not None:
        found.start_ns = parts.run.start_ns
        _fit(found.spent_ns, whole_ns)
    return found


def length_ns(parts: Parts) -> int | None:
    """The run span's duration; None where there is none, or it is none that a run can have."""
    if parts.run is None:
        return None
    took_ns = parts.run.end_ns - parts.run.start_ns
    return took_ns if 0 < took_ns <= LONGEST_S * 1e9 else None


def tells_times(parts: Parts) -> bool:
    """Whether the run span has any times of its own."""
    return _told(parts) is not None


def missing_ns(parts: Parts) -> int:
    """How much of the run span's duration its own times leave out; below 0, are too many."""
    whole_ns = length_ns(parts)
    if whole_ns is None:
        return 0
    rest_ns = whole_ns - (_told(parts) or derived(parts)).total_ns
    return rest_ns if abs(rest_ns) > ROUNDED_NS else 0


def _fit(spent_ns: dict[State, int], whole_ns: int) -> None:
    """Make times sum to a duration; not where they do but for how a store rounds."""
    total_ns = sum(spent_ns.values())
    if total_ns > whole_ns + ROUNDED_NS:
        for state, each_ns in spent_ns.items():
            spent_ns[state] = each_ns * whole_ns // total_ns
        longest = max(spent_ns, key=lambda state: spent_ns[state])
        spent_ns[longest] += whole_ns - sum(spent_ns.values())
    elif total_ns < whole_ns - ROUNDED_NS:
        before_ns = spent_ns.get(State.UNEXPLAINED, 0)
        spent_ns[State.UNEXPLAINED] = before_ns + whole_ns - total_ns


def derived(parts: Parts, into: Times | None = None) -> Times:
    """The times as the spans alone tell of them, whatever the run span says.

    Args:
        into: the machine that counts; see :func:`gentrace.core.run.times.tally`.
    """
    final = parts.final
    found = list(events(parts))
    if final is not None:
        found = [event for event in found if event.at_ns <= final.at_ns]
        return tally([*found, Event(Kind.ENDED, final.at_ns)], into=into)
    last_ns = max((span.last_ns for span in parts.spans), default=0)
    return tally(found, until_ns=last_ns, into=into)


def _told(parts: Parts) -> Times | None:
    """The times that the run span carries, if it carries any."""
    run = parts.run
    if run is None:
        return None
    spent = {
        state: span_ns(run.attributes[name])
        for state, name in names.TIMES.items()
        if name in run.attributes
    }
    if not spent:
        return None
    ended = parts.first(names.OUTCOME) is not None
    return Times(
        spent_ns={State(state): spent_ns for state, spent_ns in spent.items()},
        state=State.FINISH,
        since_ns=run.end_ns,
        start_ns=run.start_ns,
        ended=ended,
        late=late if isinstance(late := run.attributes.get(names.LATE_EVENTS), int) else 0,
    )


def events(parts: Parts) -> Iterator[Event]:
    """Every event that the spans tell of, in no order; final statuses only as put back ones."""
    begin = parts.server or parts.create
    if begin is not None:
        yield Event(Kind.RECEIVED, begin.start_ns)
    if begin is not None and begin is parts.create and not begin.open:
        yield Event(Kind.CREATED, begin.end_ns)  # a job's call, and no request
    yield from _queueing(parts)
    yield from _jobs(parts)
    yield from _provider(parts)
    for at_ns, told in parts.status_changes():
        if told.get(names.STATUS) in _HELD:
            yield Event(Kind.HELD, at_ns)
        elif told.get(names.STATUS_PREVIOUS) in _HELD:
            yield Event(Kind.RESUMED, at_ns)
    for final in parts.finals[: None if parts.final is None else -1]:
        yield Event(Kind.ENDED, final.at_ns)


def _queueing(parts: Parts) -> Iterator[Event]:
    for enqueue in parts.enqueues:
        if enqueue.text(names.ENQUEUE_OUTCOME) in _NOT_PUT:
            continue  # the job that was there before is there still
        # A worker may start the job before the enqueue has returned in the other process.
        started = [j.start_ns for j in parts.jobs if j.start_ns >= enqueue.start_ns]
        at_ns = min([enqueue.last_ns, *started])
        defer_ns = span_ns(enqueue.attributes.get(names.ENQUEUE_DEFER, 0))
        if defer_ns > 0:
            yield Event(Kind.ENQUEUED, at_ns, wait=_wait(parts, enqueue), due_ns=at_ns + defer_ns)
        else:
            yield Event(Kind.ENQUEUED, at_ns)


def _wait(parts: Parts, enqueue: Span) -> State:
    """What a deferred enqueue waits for, by what the job, if it was one, gave as its reason."""
    above = parts.ancestors(enqueue)
    job = next((span for span in above if span.name == names.PROCESS_GENERATION), None)
    holders = [span for span in (enqueue, job) if span is not None]
    reason = parts.last(names.WAIT_REASON, holders) or parts.last(names.JOB_REASON, holders) or ""
    if job is not None and job.text(names.JOB_STATUS) in _HELD:
        return State.HOLD
    if any(word in reason for word in _ACCOUNT_WORDS):
        return State.ACCOUNT_WAIT
    tried = any(span.start_ns < enqueue.start_ns for span in parts.jobs)
    return State.RETRY_WAIT if tried or parts.finals else State.HOLD


def _jobs(parts: Parts) -> Iterator[Event]:
    jobs = parts.jobs
    for number, job in enumerate(jobs):
        yield Event(Kind.JOB_STARTED, job.start_ns)
        overtaken = any(later.start_ns < job.last_ns for later in jobs[number + 1 :])
        if job.open or overtaken:
            continue
        outcome, status = job.text(names.JOB_OUTCOME), job.text(names.JOB_STATUS)
        defer_ns = span_ns(job.attributes.get(names.ENQUEUE_DEFER, 0))
        if outcome == "retry":
            due_ns = job.end_ns + defer_ns if defer_ns > 0 else 0
            yield Event(Kind.ENQUEUED, job.end_ns, wait=State.RETRY_WAIT, due_ns=due_ns)
        elif outcome == "interrupted":
            yield Event(Kind.ENQUEUED, job.end_ns)
        else:
            held = State.HOLD if status in _HELD else None
            failed = job.failed and outcome is not None
            kind = Kind.JOB_FAILED if failed else Kind.JOB_OVER
            yield Event(kind, job.end_ns, wait=held)


def _provider(parts: Parts) -> Iterator[Event]:
    attempts: dict[str, int] = {}
    for attempt, execute in enumerate(parts.executes, 1):
        yield Event(Kind.SUBMITTING, execute.start_ns, attempt)
        if execute.open:
            continue
        job_id = execute.text(names.PROVIDER_JOB_ID)
        over = is_over(execute) and not execute.failed
        submitted = (job_id is not None or over) and not execute.failed
        if job_id is not None:
            attempts[job_id] = attempt
        kind = Kind.SUBMITTED if submitted else Kind.NOT_SUBMITTED
        yield Event(kind, execute.end_ns, attempt)
        if over:
            yield Event(Kind.PROVIDER_DONE, execute.end_ns, attempt)
    for span in parts.polls:
        if is_over(span):
            attempt = attempts.get(span.text(names.PROVIDER_JOB_ID) or "", 0)
            yield Event(Kind.PROVIDER_DONE, _read_at(parts, span), attempt)
    for span in parts.named(names.PROVIDER_WAIT):
        if not span.open:
            attempt = attempts.get(span.text(names.PROVIDER_JOB_ID) or "", 0)
            yield Event(Kind.PROVIDER_DONE, span.end_ns, attempt)


def is_over(span: Span) -> bool:
    """Whether the provider's status that the span tells is final."""
    told, status = span.attributes.get(names.PROVIDER_OVER), span.text(names.PROVIDER_STATUS)
    if isinstance(told, bool):
        return told
    return status is not None and status.lower() not in _PENDING


def _read_at(parts: Parts, poll: Span) -> int:
    """When a poll had its answer: what the host did with it may be inside the same span."""
    read = [event.at_ns for event in poll.events if names.PROVIDER_STATUS in event.attributes]
    if read:
        return read[-1]
    inside = parts.below(poll)
    asked = [s.last_ns for s in inside if s.parent_id == poll.span_id and ".check_" in s.name]
    if asked:
        return max(asked)
    finishing = [s.start_ns for s in inside if s.name == names.FINISH]
    return min([poll.last_ns, *finishing])


def span_ns(seconds: Any) -> int:
    """Nanoseconds of a duration in seconds; 0 where it is none: no number, below 0, endless."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return 0
    if not 0 <= seconds <= LONGEST_S:
        return 0
    return round(seconds * 1e9)
