"""A run's record where several processes work for it, each with a count of its own."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from gentrace.core import names
from gentrace.core.run.times import Event, Kind, State
from gentrace.runtime.runs.apply import apply
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.record import OpenSpan, Record
from gentrace.runtime.runs.spans import run_span, stand_in
from tests.runtime.runs.conftest import RULES
from tests.support.host import attributes

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


SLOW = replace(RULES, after_s={"failed": 2.0, "cancelled": 2.0})


def status(story: Story, instance: str, word: str) -> Record:
    """One status more, a second later, before the last one has settled."""
    story.at_s += 1
    change = Change(instance, story.at_s, story.at_s * 10**9, TRACE, PARENT, status=word)
    story.record = apply(story.record, "g", change, SLOW).record
    assert story.record is not None
    return story.record


def test_a_final_status_that_was_rolled_back_is_not_coming() -> None:
    story = Story()
    story.tell("api", Kind.ENQUEUED, coming="cancelled")
    story.tell("worker", Kind.JOB_STARTED, coming="failed")
    record = story.tell("api", Kind.JOB_STARTED, not_coming=True)
    assert record.holders() == {"worker"}
    assert record.came("api") is None


def test_a_pause_is_over_when_it_is_resumed() -> None:
    story = Story()
    story.tell("api", Kind.ENQUEUED)
    status(story, "api", "paused")
    assert story.state is State.HOLD
    status(story, "api", "pending")
    assert story.state is State.QUEUE


def test_a_cancel_that_is_overtaken_leaves_the_submission_under_way() -> None:
    story = Story()
    story.submit("w", 1, "p")
    status(story, "api", "cancelled")
    status(story, "w", "processing")
    assert story.state is State.PROVIDER_RUN
    status(story, "api", "failed")
    status(story, "api", "pending")
    assert story.state is State.FINISH


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_statuses_of_several_processes_count_in_the_order_of_their_commits(
    order: tuple[int, ...],
) -> None:
    """Two pollers read the same end; the first's is put back before the second's is committed."""
    story = Story()
    story.submit("w1", 1, "p")
    told = [
        (20.0, "w1", "failed"),
        (20.2, "api", "pending"),
        (20.3, "w2", "failed"),
        (20.4, "api", "processing"),
    ]
    for number in order:
        at_s, instance, word = told[number]
        at_ns = round(at_s * 1e9)
        change = Change(instance, 0, at_ns, TRACE, PARENT, status=word)
        story.record = apply(story.record, "g", change, SLOW).record
    assert story.record is not None
    assert story.record.number == 1
    assert not story.record.ended_ns
    status = Change("w2", 0, round(20.5e9), TRACE, PARENT, status="failed")
    story.record = apply(story.record, "g", status, SLOW).record
    assert story.record is not None
    assert story.record.ended_ns == round(20.5e9)
    assert story.record.outcome == "failed"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_end_that_follows_another_is_an_end_whoever_tells_first(order: tuple[int, ...]) -> None:
    story = Story()
    story.submit("w1", 1, "p")
    told = [(20.0, "w1", "failed"), (20.2, "api", "pending"), (20.3, "w2", "failed")]
    for number in order:
        at_s, instance, word = told[number]
        change = Change(instance, 0, round(at_s * 1e9), TRACE, PARENT, status=word)
        story.record = apply(story.record, "g", change, SLOW).record
    assert story.record is not None
    assert story.record.ended_ns == round(20.3e9)


def test_what_a_run_left_open_is_found_in_the_next() -> None:
    """Its process may yet die."""
    story = Story()
    span = OpenSpan("ab", "process_generation", "", 5, 4, "w")
    story.tell("w", Kind.JOB_STARTED, opened=(span,))
    status(story, "api", "failed")
    story.at_s += 10
    change = Change("api", 99, story.at_s * 10**9, f"{8:032x}", PARENT, number=2, status="pending")
    applied = apply(story.record, "g", change, RULES)
    assert applied.before is not None
    assert applied.record is not None
    assert applied.before.open == {}
    assert applied.record.open == {"ab": replace(span, trace=TRACE)}
    made = stand_in(applied.record, applied.record.open["ab"], 9)
    assert made.context is not None
    assert f"{made.context.trace_id:032x}" == TRACE


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


def test_what_is_told_after_the_end_counts_only_where_that_is_taken_back() -> None:
    story = Story()
    story.tell("api", Kind.ENQUEUED, stage="queued")
    status(story, "api", "cancelled")
    record = story.tell("w1", Kind.JOB_STARTED, counts={names.TRIES: 1}, stage="started")
    told = attributes(run_span(record))
    assert (told[names.TRIES], told[names.STAGE]) == (0, "queued")
    assert Record.load(record.dump()) == record
    record = status(story, "api", "pending")
    told = attributes(run_span(record))
    assert (told[names.TRIES], told[names.STAGE]) == (1, "started")


def test_who_knows_what_was_asked_tells_where_nobody_has() -> None:
    story = Story()
    record = story.tell("w1", Kind.JOB_STARTED, asked={names.MODEL: "v5", names.PROVIDER: "p"})
    assert record.facts[names.MODEL] == "v5"
    record = story.tell("api", Kind.ENQUEUED, facts={names.MODEL: "v5.5"})
    assert record.facts[names.MODEL] == "v5.5"
    record = story.tell("w1", Kind.JOB_STARTED, asked={names.MODEL: "v5"})
    assert (record.facts[names.MODEL], record.facts[names.PROVIDER]) == ("v5.5", "p")


def test_what_is_told_of_a_failure_is_of_one_failure() -> None:
    story, kind, cause = Story(), names.ERROR_TYPE, names.ERROR_CAUSE
    first = {kind: "ProviderError", cause: "KeyError", names.ERROR_MESSAGE: "odd"}
    status_502 = {**first, names.ERROR_HTTP_STATUS: 502, names.ERROR_CODE: "boom"}
    record = story.tell("w1", Kind.NOT_SUBMITTED, facts=status_502)
    record = story.tell("w1", Kind.JOB_FAILED, facts=first)  # the same, told by its job
    assert record.facts[names.ERROR_HTTP_STATUS] == 502
    record = status(story, "w1", "failed")
    told = run_span(record)
    assert told.status.description == "odd"
    record = story.tell("w1", Kind.JOB_FAILED, facts={kind: "OSError", cause: "OSError"})
    assert record.facts == {kind: "OSError", cause: "OSError", names.ERROR_CODE: "boom"}
    assert run_span(record).status.description == "boom"
    record = story.tell("w1", Kind.SUBMITTING, 1)
    assert record.facts == {}
