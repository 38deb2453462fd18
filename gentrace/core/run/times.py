"""Additive times: the states of a run and the events that move it, as a pure machine.

Spans overlap, so their durations do not add up. A run is in exactly one state instead: each event
adds the time since the last one to the old state and sets the new one. The times therefore sum
to the time between the first and the last event, to the nanosecond, whatever order they came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """What a run is doing; the values name the times (``generation.time.<state>_s``)."""

    API = "api"
    QUEUE = "queue"
    ACCOUNT_WAIT = "account_wait"
    RETRY_WAIT = "retry_wait"
    HOLD = "hold"
    WORKER = "worker"
    PROVIDER_SUBMIT = "provider_submit"
    PROVIDER_RUN = "provider_run"
    FINISH = "finish"
    UNEXPLAINED = "unexplained"


LONGEST_S = 1e9
"""A time that a span tells and that is longer than thirty years is damage, and counts as 0."""

WAITS = frozenset({State.ACCOUNT_WAIT, State.RETRY_WAIT, State.HOLD})


class Kind(StrEnum):
    """What happened to a run. The order is the order of one run in which each happens once."""

    RECEIVED = "received"  # the request, or the creating job's call
    CREATED = "created"  # that call of a job is over; a request goes on until it has enqueued
    ENQUEUED = "enqueued"  # or its enqueue failed
    HELD = "held"  # paused by a person
    RESUMED = "resumed"  # ... and resumed: what was queued before is queued still
    JOB_STARTED = "job_started"
    SUBMITTING = "submitting"  # provider.execute entered
    NOT_SUBMITTED = "not_submitted"  # it raised, or returned no provider job id
    SUBMITTED = "submitted"
    PROVIDER_DONE = "provider_done"  # the final provider status was read
    JOB_OVER = "job_over"
    JOB_FAILED = "job_failed"  # ... and will not be tried again: its run is to be closed
    NO_CHANGE = "no_change"  # a job is over that left the run as it had found it
    ENDED = "ended"  # a final status was committed
    PUT_BACK = "put_back"  # ... and then one that is not final


_NEXT: Mapping[Kind, State] = {
    Kind.RECEIVED: State.API,
    Kind.CREATED: State.UNEXPLAINED,
    Kind.ENQUEUED: State.QUEUE,
    Kind.HELD: State.HOLD,
    Kind.RESUMED: State.QUEUE,
    Kind.JOB_STARTED: State.WORKER,
    Kind.SUBMITTING: State.PROVIDER_SUBMIT,
    Kind.NOT_SUBMITTED: State.WORKER,
    Kind.SUBMITTED: State.PROVIDER_RUN,
    Kind.PROVIDER_DONE: State.FINISH,
    Kind.JOB_OVER: State.UNEXPLAINED,
    Kind.JOB_FAILED: State.FINISH,
    Kind.NO_CHANGE: State.UNEXPLAINED,
    Kind.PUT_BACK: State.FINISH,
}
_NEEDS: Mapping[Kind, State] = {
    Kind.CREATED: State.API,
    Kind.RESUMED: State.HOLD,
    Kind.NOT_SUBMITTED: State.PROVIDER_SUBMIT,
    Kind.JOB_OVER: State.WORKER,
    Kind.JOB_FAILED: State.WORKER,
    Kind.NO_CHANGE: State.WORKER,
}
_OF_A_JOB = frozenset({Kind.JOB_OVER, Kind.JOB_FAILED, Kind.NO_CHANGE})
# What goes on while a job looks at the run and leaves it alone
_GO_ON = frozenset({State.HOLD, State.PROVIDER_RUN, State.FINISH})
_NO_LONGER = frozenset({Kind.SUBMITTING, Kind.NOT_SUBMITTED, Kind.PROVIDER_DONE, Kind.PUT_BACK})
# What is over without anything that was submitted being over
_BACK_TO_THE_PROVIDER = frozenset({Kind.JOB_OVER, Kind.NO_CHANGE, Kind.PUT_BACK})
_REOPENS = frozenset({Kind.ENQUEUED, Kind.JOB_STARTED, Kind.SUBMITTING})


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run.

    Attributes:
        attempt: the submission to the provider that it belongs to, from 1; 0 belongs to none.
        wait: for ENQUEUED and JOB_OVER, the wait that was asked for; for PUT_BACK, PROVIDER_RUN
            where the submission goes on that was under way (a cancel that was overtaken).
        due_ns: when that wait is over and the run only queues; 0 is not known.
        from_ns: for ENQUEUED, when the enqueue began: a worker may start the job before it has
            returned in the other process. For a job that is over, when it started: another may
            have started since. 0 is not known.
    """

    kind: Kind
    at_ns: int
    attempt: int = 0
    wait: State | None = None
    due_ns: int = 0
    from_ns: int = 0


@dataclass(slots=True)
class Times:
    """The machine and what it has counted so far.

    Attributes:
        spent_ns: nanoseconds in each state that the run was in; they sum to :attr:`total_ns`.
        state: the state now; None before the first event.
        ended: a final status is committed; an event that reopens the run takes it back, and
            the time in between was spent on finishing.
        late: steps that would have been negative; each counted 0.
        found: the state that the job at work found the run in.
        job_ns: when the last job started.
        submitted: the provider has a submission whose final status nobody has read.
        provider_ns: since when the provider has been at work, but for jobs that looked at the
            run and left it alone.
        by_status: the status is seen itself, so that only PUT_BACK takes an end back; without,
            whatever goes on after it does.
    """

    spent_ns: dict[State, int] = field(default_factory=dict[State, int])
    state: State | None = None
    since_ns: int = 0
    start_ns: int = 0
    due_ns: int = 0
    attempt: int = 0
    ended: bool = False
    late: int = 0
    found: State | None = None
    by_status: bool = False
    job_ns: int = 0
    submitted: bool = False
    provider_ns: int = 0

    @property
    def total_ns(self) -> int:
        """First to last event, which is the sum of :attr:`spent_ns`."""
        return sum(self.spent_ns.values())

    def step(self, event: Event) -> None:
        """Apply one event: add the time since the last one to its state, set the new state."""
        if self.state is None:
            self.start_ns = self.since_ns = event.at_ns
        elif not self._moves(event):
            return
        goes_on = event.kind is Kind.NO_CHANGE and self.found in _GO_ON
        if goes_on:
            self.state = self.found  # all the while
        self.advance(event.at_ns)
        if event.kind is Kind.JOB_STARTED:
            self.job_ns = event.at_ns
        if event.kind is Kind.SUBMITTING:
            self.attempt = max(self.attempt, event.attempt)
        self.due_ns = 0
        self.ended = event.kind is Kind.ENDED
        if self.ended:
            self.state = State.FINISH
            return
        self._submit(event)
        before, found = self.state, self.found
        self.found = self.state if event.kind is Kind.JOB_STARTED else None
        self.state = found if goes_on else self._next(event)
        if self.state is State.PROVIDER_RUN and not goes_on and before is not self.state:
            self.provider_ns = self.since_ns

    def _submit(self, event: Event) -> None:
        """Whether the provider has it from now on."""
        if event.kind is Kind.SUBMITTED:
            self.submitted = True
        elif event.kind in _NO_LONGER:
            self.submitted = self.submitted and event.wait is State.PROVIDER_RUN

    def _next(self, event: Event) -> State:
        """The state after an event, as the table of the contract has it."""
        if self.submitted and event.kind in _BACK_TO_THE_PROVIDER:
            return State.PROVIDER_RUN
        if event.kind is Kind.PUT_BACK or event.wait is None:
            return _NEXT[event.kind]
        if event.due_ns and event.due_ns <= event.at_ns:
            return _NEXT[event.kind]
        self.due_ns = event.due_ns
        return event.wait

    def advance(self, at_ns: int) -> None:
        """Let time pass in the state that the run is in; a wait that is due becomes queueing."""
        if self.state is None:
            return
        if at_ns < self.since_ns:
            self.late += 1
            return
        if self.state in WAITS and 0 < self.due_ns < at_ns:
            due_ns = max(self.due_ns, self.since_ns)
            self._add(due_ns - self.since_ns)
            self.state, self.since_ns, self.due_ns = State.QUEUE, due_ns, 0
        self._add(at_ns - self.since_ns)
        self.since_ns = at_ns

    def _add(self, span_ns: int) -> None:
        assert self.state is not None
        self.spent_ns[self.state] = self.spent_ns.get(self.state, 0) + span_ns

    def _moves(self, event: Event) -> bool:
        """Whether the event moves the run on: not when it is of an older attempt."""
        if event.attempt and event.attempt < self.attempt:
            return False
        if event.kind in _OF_A_JOB and 0 < event.from_ns < self.job_ns:
            return False
        if self.ended:
            again = () if self.by_status else _REOPENS
            return event.kind in again or event.kind in (Kind.ENDED, Kind.PUT_BACK)
        if event.kind is Kind.PUT_BACK:
            return False
        if event.kind is Kind.PROVIDER_DONE:
            return self.submitted  # also while a job looks at the run
        needed = _NEEDS.get(event.kind)
        return needed is None or self.state is needed


def tally(events: Iterable[Event], until_ns: int = 0, into: Times | None = None) -> Times:
    """The times of a run from its events, sorted here by time and then by :class:`Kind`.

    Args:
        events: in any order.
        until_ns: for a run that has not ended, the moment up to which its state is counted;
            0 stops at the last event.
        into: the machine that counts, for one that keeps more than the sums.
    """
    order = {kind: position for position, kind in enumerate(Kind)}
    times = Times() if into is None else into
    for event in sorted(events, key=lambda e: (e.at_ns, order[e.kind])):
        times.step(event)
    if until_ns > times.since_ns and not times.ended:
        times.advance(until_ns)
    return times
