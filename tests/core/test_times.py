"""The state machine: what moves a run, and that its times always add up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gentrace.core.times import Event, Kind, State, Times, tally

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
