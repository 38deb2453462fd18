"""The state machine: what moves a run, and that its times always add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentrace.core.run.times import Event, Kind, State, Times, tally

ORDINARY = [
    Event(Kind.RECEIVED, 0),
    Event(Kind.ENQUEUED, 40),
    Event(Kind.JOB_STARTED, 500),
    Event(Kind.SUBMITTING, 600, 1),
    Event(Kind.SUBMITTED, 650, 1),
    Event(Kind.JOB_OVER, 700),
    Event(Kind.PROVIDER_DONE, 7_000, 1),
    Event(Kind.ENDED, 7_900),
]


def test_an_ordinary_run() -> None:
    times = tally(ORDINARY)
    assert times.spent_ns == {
        State.API: 40,
        State.QUEUE: 460,
        State.WORKER: 100,
        State.PROVIDER_SUBMIT: 50,
        State.PROVIDER_RUN: 6_350,
        State.FINISH: 900,
    }
    assert times.ended
    assert times.late == 0


def test_a_deferred_enqueue_waits_until_it_is_due_and_queues_from_then() -> None:
    times = tally(
        [
            Event(Kind.RECEIVED, 0),
            Event(Kind.ENQUEUED, 10, wait=State.ACCOUNT_WAIT, due_ns=110),
            Event(Kind.JOB_STARTED, 150),
            Event(Kind.ENDED, 160),
        ]
    )
    assert times.spent_ns == {
        State.API: 10,
        State.ACCOUNT_WAIT: 100,
        State.QUEUE: 40,
        State.WORKER: 10,
    }


def test_a_wait_without_a_due_time_goes_on_and_one_due_at_once_does_not_begin() -> None:
    waiting = tally([Event(Kind.ENQUEUED, 0, wait=State.RETRY_WAIT)], until_ns=70)
    assert waiting.spent_ns == {State.RETRY_WAIT: 70}
    due = tally([Event(Kind.ENQUEUED, 5, wait=State.RETRY_WAIT, due_ns=5)], until_ns=70)
    assert due.spent_ns == {State.QUEUE: 65}


def test_a_failed_submission_is_the_workers_again_and_a_job_over_without_work_is_unexplained() -> (
    None
):
    times = tally(
        [
            Event(Kind.JOB_STARTED, 0),
            Event(Kind.SUBMITTING, 10, 1),
            Event(Kind.NOT_SUBMITTED, 30, 1),
            Event(Kind.JOB_OVER, 35),
        ],
        until_ns=100,
    )
    assert times.spent_ns == {
        State.WORKER: 15,
        State.PROVIDER_SUBMIT: 20,
        State.UNEXPLAINED: 65,
    }


def test_an_older_attempt_does_not_move_the_run() -> None:
    times = tally(
        [
            Event(Kind.SUBMITTING, 0, 1),
            Event(Kind.SUBMITTED, 10, 1),
            Event(Kind.SUBMITTING, 50, 2),
            Event(Kind.SUBMITTED, 60, 2),
            Event(Kind.PROVIDER_DONE, 70, 1),
        ],
        until_ns=100,
    )
    assert times.state is State.PROVIDER_RUN


def test_a_final_status_that_was_put_back_was_spent_on_finishing() -> None:
    times = tally(
        [
            Event(Kind.JOB_STARTED, 0),
            Event(Kind.ENDED, 10),
            Event(Kind.JOB_OVER, 12),
            Event(Kind.ENQUEUED, 40),
            Event(Kind.ENDED, 60),
        ]
    )
    assert times.spent_ns == {State.WORKER: 10, State.FINISH: 30, State.QUEUE: 20}


def test_negative_steps_count_nothing_and_are_counted() -> None:
    times = Times()
    for event in (
        Event(Kind.RECEIVED, 100),
        Event(Kind.ENQUEUED, 90),
        Event(Kind.JOB_STARTED, 130),
    ):
        times.step(event)
    assert times.spent_ns == {State.QUEUE: 30}
    assert times.late == 1


AT_THE_PROVIDER = [
    Event(Kind.RECEIVED, 1),
    Event(Kind.ENQUEUED, 2),
    Event(Kind.JOB_STARTED, 3),
    Event(Kind.SUBMITTING, 4, 1),
    Event(Kind.SUBMITTED, 5, 1),
]
LOOKS = {
    "interrupted, and its second try leaves it alone": (
        [Event(Kind.ENQUEUED, 6), Event(Kind.JOB_STARTED, 7), Event(Kind.NO_CHANGE, 8, from_ns=7)],
        33,
    ),
    "queued once more by a cron": (
        [
            Event(Kind.ENQUEUED, 10, from_ns=10),
            Event(Kind.JOB_STARTED, 11),
            Event(Kind.JOB_OVER, 12, from_ns=11),
        ],
        33,
    ),
    "a second try that leaves it alone": (
        [Event(Kind.JOB_STARTED, 20), Event(Kind.NO_CHANGE, 21, from_ns=20)],
        35,
    ),
    "a second try": ([Event(Kind.JOB_STARTED, 20), Event(Kind.JOB_OVER, 21, from_ns=20)], 34),
    "a second try at work": ([Event(Kind.JOB_STARTED, 35)], 30),
    "a cancel that was overtaken": (
        [Event(Kind.ENDED, 20), Event(Kind.PUT_BACK, 21, wait=State.PROVIDER_RUN)],
        34,
    ),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_submission_is_under_way_whatever_looks_at_the_run_meanwhile(look: str) -> None:
    found, provider_run = LOOKS[look]
    times = Times(by_status=True)
    for event in [*AT_THE_PROVIDER, *found, Event(Kind.PROVIDER_DONE, 40), Event(Kind.ENDED, 42)]:
        times.step(event)
    assert times.spent_ns[State.PROVIDER_RUN] == provider_run
    assert State.UNEXPLAINED not in times.spent_ns
    assert times.total_ns == 41


def test_what_was_put_back_to_be_tried_again_is_with_no_provider() -> None:
    times = Times(by_status=True)
    for event in [
        *AT_THE_PROVIDER,
        Event(Kind.ENDED, 20),
        Event(Kind.PUT_BACK, 21),
        Event(Kind.PROVIDER_DONE, 30),
        Event(Kind.ENDED, 31),
    ]:
        times.step(event)
    assert times.spent_ns[State.PROVIDER_RUN] == 15
    assert times.spent_ns[State.FINISH] == 11


def test_who_resumes_what_is_queued_still_has_it_queue() -> None:
    times = tally(
        [
            Event(Kind.ENQUEUED, 0),
            Event(Kind.HELD, 10),
            Event(Kind.RESUMED, 50),
            Event(Kind.JOB_STARTED, 80),
            Event(Kind.RESUMED, 81),
        ],
        until_ns=100,
    )
    assert times.spent_ns == {State.QUEUE: 40, State.HOLD: 40, State.WORKER: 20}


events = st.builds(
    Event,
    st.sampled_from(Kind),
    st.integers(0, 10**12),
    st.integers(0, 3),
    st.none() | st.sampled_from([State.ACCOUNT_WAIT, State.RETRY_WAIT, State.HOLD]),
    st.integers(0, 10**12),
)


@given(st.lists(events, min_size=1, max_size=40), st.booleans())
def test_the_times_of_any_events_in_any_order_add_up(found: list[Event], sort: bool) -> None:
    times = Times()
    if sort:
        times = tally(found)
    else:
        for event in found:
            times.step(event)
    assert times.total_ns == times.since_ns - times.start_ns
    assert all(spent >= 0 for spent in times.spent_ns.values())
    if sort:
        assert times.late == 0


def test_a_creating_call_of_a_job_ends_with_itself() -> None:
    for enqueued_at, spent in ((40, {State.API: 40}), (90, {State.API: 50, State.UNEXPLAINED: 40})):
        times = tally(
            [
                Event(Kind.RECEIVED, 0),
                Event(Kind.CREATED, 50),
                Event(Kind.ENQUEUED, enqueued_at),
                Event(Kind.JOB_STARTED, 100),
            ]
        )
        assert times.spent_ns == {**spent, State.QUEUE: 100 - enqueued_at}
