"""The runs that events tell of: whatever their order, however often each comes."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentrace.core import names
from gentrace.core.run import events
from gentrace.core.run.events import Died, OpenSpan, RunEvent, Step, Unknown, Written, load
from gentrace.core.run.fold import compacted, fold
from gentrace.core.run.folded import Folded
from gentrace.core.run.run import Run, run_span_id
from gentrace.core.run.times import Event, Kind, State
from tests.core.run.stories import PARENT, RULES, START_NS, TRACE, step, stories

S = 10**9
MS = 10**6


def told(found: Folded) -> list[dict[str, Any]]:
    return [run.plain() for run in found.runs]


def current(given: list[RunEvent | Unknown] | list[Step]) -> Run:
    run = fold(given, RULES).current
    assert run is not None
    return run


def moment(who: str, n: int, at_s: float, kind: Kind, **more: Any) -> Step:
    at_ns = START_NS + round(at_s * S)
    attempt = more.pop("attempt", 0)
    from_s, due_s = more.pop("from_s", None), more.pop("due_s", None)
    event = Event(
        kind,
        at_ns,
        attempt,
        from_ns=0 if from_s is None else START_NS + round(from_s * S),
        due_ns=0 if due_s is None else START_NS + round(due_s * S),
    )
    return step(who, n, at_ns, events=(event,), **more)


def status(who: str, n: int, at_s: float, word: str, **more: Any) -> Step:
    return step(who, n, START_NS + round(at_s * S), status=word, **more)


# -- properties --------------------------------------------------------------------------------
@given(story=stories(), seed=st.integers(0, 1000), again=st.integers(0, 5))
def test_neither_order_nor_repetition_is_an_input(story: list[Step], seed: int, again: int) -> None:
    shuffled = [*story, *story[:again]]
    random.Random(seed).shuffle(shuffled)
    whole, mixed = fold(story, RULES), fold(shuffled, RULES)
    assert told(mixed) == told(whole)
    assert mixed.duplicates == len(story[:again])
    assert mixed.count == len(story)


@given(story=stories(), until=st.integers(0, 100))
def test_the_times_are_the_whole_to_the_nanosecond(story: list[Step], until: int) -> None:
    for run in fold(story[: until + 1], RULES).runs:
        assert sum(run.times.spent_ns.values()) == run.times.since_ns - run.times.start_ns
        assert all(ns >= 0 for ns in run.times.spent_ns.values())
        assert run.times.late == 0


@given(story=stories(most=60), keep=st.integers(0, 40), seed=st.integers(0, 100))
def test_what_was_compacted_is_as_if_it_were_still_there(
    story: list[Step], keep: int, seed: int
) -> None:
    made = compacted(story, RULES, keep)
    if made is None:
        return
    (kept,) = load(events.dump(made))
    rest: list[RunEvent | Unknown] = [
        each for each in story if each.n > made.upto.get(each.instance, 0)
    ]
    assert len(rest) == len(story) - made.count
    rest += [kept, *story[:3]]  # some that came again
    random.Random(seed).shuffle(rest)
    after, before = fold(rest, RULES), fold(story, RULES)
    assert told(after) == told(before)[-len(after.runs) :]
    assert after.count == before.count


@given(story=stories(), late=stories(most=10), at=st.integers(0, 30))
def test_an_end_that_is_out_does_not_move(story: list[Step], late: list[Step], at: int) -> None:
    """Whatever else is told of the time before it, or after."""
    ended = [run for run in fold(story[: at + 1], RULES).runs if run.ended_ns]
    pins = [Written("w1", run.number, run.trace, run.ended_ns, 1) for run in ended]
    more = [replace(each, instance=f"{each.instance}+") for each in late[1:]]
    after = fold([*story, *more, *pins], RULES)
    pinned = [each for each in after.runs if each.pinned_ns]
    assert [each.pinned_ns for each in pinned] == [run.ended_ns for run in ended]
    assert all(each.ended_ns == each.pinned_ns for each in pinned)
    assert all(each.due_ns(RULES) == 0 for each in pinned)


@given(
    story=stories(), text=st.sampled_from(["", "{", "[]", '{"k":"dreamt"}', '{"e":[{"n":"x"}]}'])
)
def test_what_is_no_event_changes_nothing_but_its_count(story: list[Step], text: str) -> None:
    found = fold([*story, *load(text)], RULES)
    assert told(found) == told(fold(story, RULES))
    assert found.unknown == 1


@given(story=stories())
def test_a_batch_is_read_as_it_was_told(story: list[Step]) -> None:
    for each in story:
        text = events.batch(each, [events.body(each)], each.parent)
        assert list(load(text)) == [each]


@given(story=stories())
def test_a_run_is_kept_as_it_is(story: list[Step]) -> None:
    import json

    for run in fold(story, RULES).runs:
        again = Run.of(json.loads(json.dumps(run.plain())))
        assert again.plain() == run.plain()


# -- the order in which it happened ------------------------------------------------------------
RECEIVED = moment("api", 1, 0, Kind.RECEIVED, root="aa" * 8)


def test_what_a_clock_that_is_behind_told_comes_after_the_creation() -> None:
    early = moment("w1", 1, -0.3, Kind.JOB_STARTED)
    run = current([RECEIVED, early])
    assert run.times.start_ns == START_NS
    assert (run.times.state, run.times.late) == (State.WORKER, 1)


def test_an_enqueue_that_returns_after_its_job_has_started_is_no_step_back() -> None:
    sent = moment("api", 2, 2, Kind.ENQUEUED, from_s=1, enqueued="f", job="j")
    started = moment("w1", 1, 1.5, Kind.JOB_STARTED, job="j")
    run = current([started, sent, RECEIVED])
    assert run.times.state is State.WORKER
    assert run.times.late == 0


def test_a_job_does_not_start_before_its_enqueue_has_begun() -> None:
    sent = moment("api", 2, 2, Kind.ENQUEUED, from_s=1.9, enqueued="f", job="j")
    started = moment("w1", 1, 1.5, Kind.JOB_STARTED, job="j")
    run = current([started, sent, RECEIVED])
    assert (run.times.state, run.times.late) == (State.WORKER, 1)
    assert run.times.spent_ns == {State.API: round(1.9 * S), State.QUEUE: 0}


def test_the_provider_is_done_after_it_was_given_the_job() -> None:
    submitted = moment("w1", 2, 3, Kind.SUBMITTED, facts={names.PROVIDER_JOB_ID: "p"})
    done = moment("w2", 1, 2.9, Kind.PROVIDER_DONE, polled="p")
    submitting = moment("w1", 1, 1, Kind.SUBMITTING)
    run = current([RECEIVED, submitting, submitted, done])
    assert run.times.state is State.FINISH
    assert run.times.late == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_statuses_follow_each_other_as_the_database_had_them(order: tuple[int, ...]) -> None:
    """The worker's clock is 50 ms ahead: its failure was taken back 11 ms after it."""
    given = [
        status("api", 2, 1, "processing", old="pending"),
        status("w1", 1, 5.05, "failed", old="processing"),
        status("api", 3, 5.011, "pending", old="failed"),
    ]
    run = current([RECEIVED, *(given[i] for i in order)])
    assert run.status == "pending"
    assert not run.ended_ns


def test_a_commit_that_was_seen_after_all_that_followed_it_is_no_end() -> None:
    """The event loop was busy: another process had taken it up again, and a third after it."""
    given = [
        status("api", 2, 1, "pending"),
        status("w1", 1, 2, "processing", old="pending"),
        status("w1", 2, 5.05, "failed", old="processing"),
        status("api", 3, 5.011, "pending", old="failed"),
        status("w2", 1, 5.03, "processing", old="pending"),
        status("w2", 2, 60, "completed", old="processing"),
    ]
    (run,) = fold([RECEIVED, *given], RULES).runs
    assert (run.status, run.ended_ns) == ("completed", START_NS + 60 * S)


@pytest.mark.parametrize("skew_s", [-300, -2, 0.5, 300])
def test_a_clock_that_is_known_to_differ_is_put_right(skew_s: float) -> None:
    told_at = moment("w1", 1, 2 + skew_s, Kind.JOB_STARTED)
    text = events.batch(
        replace(told_at, skew_ns=round(skew_s * S)), [events.body(told_at)], told_at.parent
    )
    run = current([RECEIVED, *load(text)])
    assert run.times.spent_ns == {State.API: 2 * S}
    assert run.times.late == 0
    assert run.incomplete == ([names.CLOCK] if abs(skew_s) > 1 else [])


# -- runs --------------------------------------------------------------------------------------
def test_a_creation_counts_whoever_began_the_run() -> None:
    """The process was killed between commit and enqueue; a cron found the generation later."""
    adopted = moment("cron", 1, 60, Kind.JOB_STARTED, trace=f"{9:032x}", adopted=True)
    run = current([adopted, RECEIVED])
    assert (run.trace, run.incomplete, run.root) == (TRACE, [], "aa" * 8)
    assert run.times.start_ns == START_NS


def test_a_run_whose_creation_nobody_told_says_so() -> None:
    assert current([moment("w1", 1, 1, Kind.JOB_STARTED)]).incomplete == [names.NO_STORE]
    alone = moment("w1", 1, 1, Kind.JOB_STARTED, adopted=True)
    assert current([alone]).incomplete == [names.ADOPTED]


def test_what_is_out_has_its_trace_for_good() -> None:
    alone = moment("w1", 1, 1, Kind.JOB_STARTED, trace=f"{9:032x}", adopted=True)
    end = status("w1", 2, 2, "completed", trace=f"{9:032x}")
    out = Written("w1", 1, f"{9:032x}", START_NS + 2 * S, 2)
    (run,) = fold([alone, end, out, RECEIVED], RULES).runs
    assert run.trace == f"{9:032x}"
    assert run.pinned_ns == START_NS + 2 * S


def test_what_goes_on_after_a_settled_end_is_the_next_run() -> None:
    first, second = fold(
        [RECEIVED, status("w1", 1, 1, "failed"), status("api", 2, 9, "pending")], RULES
    ).runs
    assert (first.outcome, second.number) == ("failed", 2)
    assert second.links == [(TRACE, run_span_id(TRACE, 1), names.LINK_PREVIOUS)]
    assert second.trace not in ("", TRACE)


def test_two_that_begin_the_next_run_at_once_agree_on_its_trace() -> None:
    one = replace(status("api", 2, 9, "pending", trace=f"{8:032x}"), number=2)
    other = replace(status("cron", 1, 9.1, "processing", trace=f"{9:032x}"), number=2)
    given = [RECEIVED, status("w1", 1, 1, "failed"), one, other]
    assert fold(given, RULES, {2: f"{9:032x}"}).runs[-1].trace == f"{9:032x}"
    assert fold(given, RULES).runs[-1].trace == f"{8:032x}"


def test_an_id_that_is_given_anew_is_another_generation() -> None:
    again = replace(
        moment("api", 2, 100, Kind.RECEIVED, trace=f"{8:032x}", root="bb" * 8), number=1
    )
    old, new = fold([RECEIVED, status("w1", 1, 1, "completed"), again], RULES).runs
    assert (old.number, new.number, new.links, new.incomplete) == (1, 1, [], [])
    assert old.times.spent_ns == {State.API: S}


def test_an_end_of_the_run_before_is_not_the_next_ones() -> None:
    """Its process is slow to tell, and its clock is ahead."""
    next_one = replace(status("api", 2, 5, "pending", trace=f"{8:032x}"), number=2)
    first, second = fold([RECEIVED, next_one, status("w1", 1, 5.2, "failed")], RULES).runs
    assert first.outcome == "failed"
    assert not second.ended_ns


# -- the dead ----------------------------------------------------------------------------------
SPAN = OpenSpan("cc" * 8, names.PROCESS_GENERATION, "", START_NS + S, 4, "w1")


def test_what_a_dead_process_had_open_is_closed_with_its_last_word() -> None:
    job = moment("w1", 1, 1, Kind.JOB_STARTED, opened=(SPAN,))
    run = current([RECEIVED, job, Died("w1", START_NS + 4 * S)])
    assert run.open == {}
    assert run.incomplete == [names.WORKER_DIED]
    assert run.times.spent_ns == {State.API: S, State.WORKER: 3 * S}


def test_what_was_over_before_a_death_is_no_part_of_it() -> None:
    over = replace(SPAN, end_ns=START_NS + 2 * S)
    job = moment("w1", 1, 1, Kind.JOB_STARTED, opened=(SPAN,))
    told_over = step("w1", 3, START_NS + 2 * S + 1, opened=(over,))
    done = moment("w1", 2, 2, Kind.JOB_OVER)
    run = current([RECEIVED, job, done, told_over, Died("w1", START_NS + 9 * S)])
    assert run.incomplete == []
    assert run.times.spent_ns == {State.API: S, State.WORKER: S}


def test_an_end_that_the_dead_had_begun_to_commit_counts() -> None:
    coming = step("w1", 2, START_NS + 2 * S, coming="failed")
    run = current([RECEIVED, moment("w1", 1, 1, Kind.JOB_STARTED), coming, Died("w1", START_NS)])
    assert (run.ended_ns, run.outcome) == (START_NS + 2 * S, "failed")
    assert run.incomplete == [names.WORKER_DIED]


def test_an_end_that_did_not_come_does_not() -> None:
    coming = step("w1", 2, START_NS + 2 * S, coming="failed")
    since = moment("w2", 1, 3, Kind.JOB_STARTED)
    run = current([RECEIVED, coming, since, Died("w1", START_NS + 4 * S)])
    assert not run.ended_ns
    assert run.coming == {}


def test_a_parent_that_moves_on_is_where_later_work_hangs() -> None:
    later = replace(moment("w1", 1, 1, Kind.JOB_STARTED), parent="ee" * 8)
    assert current([later, RECEIVED]).parent == "ee" * 8
    assert current([RECEIVED]).parent == PARENT
