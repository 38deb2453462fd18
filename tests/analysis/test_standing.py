"""A run that goes on: its state, since when, and its times, all as of one moment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.analysis.standing import standing
from gentrace.core.spans import traces as grouped
from gentrace.core.times import State
from gentrace.report import json
from tests.core import traces
from tests.core.traces import MS, START, Tracer
from tests.report.test_views import rendered, show

S = 1_000


def of(t: Tracer) -> Run:
    (run,) = runs(grouped(t.spans))
    return run


def at(ms: float) -> int:
    return START + round(ms * MS)


def queued(defer_s: float = 0, reason: str = "") -> Tracer:
    """Enqueued after 45 ms; where it is deferred, as the first job's requeue after 200 ms."""
    t = Tracer("t", "5")
    create = t.span("create_generation", 0, 50, service="api")
    enqueue = t.span("enqueue process_generation", 40, 45, create, kind="PRODUCER", service="api")
    if defer_s:
        told: dict[str, Any] = {"generation__job__reason": reason}
        job = t.span("process_generation", 100, 210, enqueue, kind="CONSUMER", **told)
        more: dict[str, Any] = {"generation__enqueue__defer_s": defer_s}
        t.span("enqueue process_generation", 190, 200, job, kind="PRODUCER", **more)
    return t


def test_what_a_run_waits_for_goes_on_until_now() -> None:
    stands = standing(of(queued()), at(41 * S))
    assert (stands.state, stands.since_ns) == (State.QUEUE, at(45))
    assert stands.spent_ns[State.QUEUE] == at(41 * S) - at(45)


def test_a_wait_that_is_due_has_become_queueing() -> None:
    run = of(queued(20, "no_account_available"))
    waits, queues = standing(run, at(9 * S)), standing(run, at(60 * S))
    assert (waits.state, waits.since_ns) == (State.ACCOUNT_WAIT, at(200))
    assert waits.due_ns == at(200 + 20 * S)
    assert (queues.state, queues.since_ns, queues.due_ns) == (State.QUEUE, waits.due_ns, 0)
    assert queues.spent_ns[State.ACCOUNT_WAIT] == 20 * S * MS


def test_a_poll_does_not_begin_the_provider_s_time_anew() -> None:
    t = queued()
    job = t.span("process_generation", 100, 400, t.spans[1], kind="CONSUMER")
    told: dict[str, Any] = {"generation__provider__job_id": "9"}
    execute = t.span("provider.execute", 200, 300, job, **told)
    t.span("provider.poll", 30 * S, 31 * S, execute, generation__provider__status="processing")
    stands = standing(of(t), at(40 * S))
    assert (stands.state, stands.since_ns) == (State.PROVIDER_RUN, at(300))
    assert json.row(of(t))["state_since"] == "2026-06-21T00:00:00.300000Z"


def test_both_lines_of_show_agree() -> None:
    (line, times) = (
        next(line for line in rendered(show(of(queued()))).splitlines() if line.startswith(word))
        for word in ("queue for", "time")
    )
    assert line == "queue for 9 min, last sign of life 9 min ago"
    assert times == "time so far: queue 10m 00s (100 %) · api 45 ms (<1 %)"


@given(
    st.sampled_from([queued, traces.unfinished, lambda: queued(20, "quota"), traces.completed]),
    st.integers(-5 * S, 3_600 * S),
)
def test_the_times_add_up_to_the_age(made: Any, ms: int) -> None:
    run = of(made())
    stands = standing(run, at(ms))
    until_ns = run.start_ns + sum(stands.spent_ns.values())
    if run.outcome is None:
        assert until_ns == max(at(ms), run.last_ns)
        assert stands.since_ns <= until_ns
        assert stands.spent_ns[stands.state or State.API] >= until_ns - stands.since_ns
    else:
        assert (stands.state, stands.spent_ns) == (None, run.times.spent_ns)


@pytest.mark.parametrize("made", [queued, lambda: queued(20, "quota")])
def test_programs_are_told_as_of_the_last_sign_of_life(made: Any) -> None:
    told = json.row(of(made()))
    assert told == json.row(of(made()))
    assert sum(told["times"].values()) == pytest.approx((of(made()).last_ns - START) / 1e9)
    assert (told["state_due"] is None) == (told["state"] == "queue")
