"""A run's record where several processes work for it, each with a count of its own."""

from __future__ import annotations

from typing import Any

from gentrace.core import names
from gentrace.core.times import Event, Kind, State
from gentrace.runtime.runs.apply import apply
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.record import Record
from tests.runtime.runs.conftest import RULES

TRACE, PARENT = f"{7:032x}", f"{1:016x}"


class Story:
    """What processes tell of one run, a second apart."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.at_s = 0
        self.tell("api", Kind.RECEIVED)

    def tell(self, instance: str, kind: Kind, attempt: int = 0, **more: Any) -> Record:
        """One event more."""
        self.at_s += 1
        at_ns = self.at_s * 10**9
        due_ns = more.pop("due_s", 0) * 10**9
        event = Event(kind, at_ns, attempt, due_ns=at_ns + due_ns if due_ns else 0)
        change = Change(instance, self.at_s, at_ns, TRACE, PARENT, events=(event,), **more)
        self.record = apply(self.record, "g", change, RULES).record
        assert self.record is not None
        return self.record

    def submit(self, instance: str, attempt: int, job: str) -> Record:
        """A submission by a process that counts it as its ``attempt``-th."""
        self.tell(instance, Kind.JOB_STARTED)
        self.tell(instance, Kind.SUBMITTING, attempt, counts={names.ATTEMPTS: 1})
        return self.tell(instance, Kind.SUBMITTED, attempt, facts={names.PROVIDER_JOB_ID: job})

    @property
    def state(self) -> State | None:
        """What the run is doing now."""
        assert self.record is not None
        return self.record.ledger.times().state


def test_a_process_that_knows_of_fewer_submissions_moves_the_run_all_the_same() -> None:
    story = Story()
    story.submit("w1", 1, "p1")
    story.submit("w1", 2, "p2")
    story.submit("w2", 1, "p3")  # the third, and this worker's first
    assert story.state is State.PROVIDER_RUN
    story.tell("w1", Kind.NOT_SUBMITTED, 2)  # of an older one
    assert story.state is State.PROVIDER_RUN
    record = story.tell("w1", Kind.PROVIDER_DONE, polled="p3")
    assert story.state is State.FINISH
    assert record.counts[names.ATTEMPTS] == 3


def test_the_end_of_an_earlier_submission_does_not_end_the_later() -> None:
    story = Story()
    story.submit("w1", 1, "p1")
    story.submit("w2", 1, "p2")
    story.tell("w1", Kind.PROVIDER_DONE, polled="p1")
    assert story.state is State.PROVIDER_RUN


def test_a_job_that_finds_the_run_paused_leaves_it_so() -> None:
    story = Story()
    story.tell("api", Kind.ENQUEUED, enqueued="make")
    story.tell("api", Kind.HELD)
    story.tell("w1", Kind.JOB_STARTED)
    story.tell("w1", Kind.NO_CHANGE)
    assert story.state is State.HOLD


def test_what_was_lost_and_is_put_on_the_queue_for_later_is_not_held_by_a_person() -> None:
    story = Story()
    story.tell("api", Kind.ENQUEUED, enqueued="make")
    story.tell("cron", Kind.ENQUEUED, enqueued="make", due_s=6)
    assert story.state is State.RETRY_WAIT


def test_what_is_first_put_on_the_queue_for_later_is_held() -> None:
    story = Story()
    story.tell("api", Kind.ENQUEUED, enqueued="make", due_s=6)
    assert story.state is State.HOLD


def test_a_record_keeps_what_it_learnt_of_submissions() -> None:
    story = Story()
    story.submit("w1", 1, "p1")
    record = story.submit("w2", 1, "p2")
    assert Record.load(record.dump()) == record
    assert record.replaced == ["p1"]
