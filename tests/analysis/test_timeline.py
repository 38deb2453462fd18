"""Times derived from spans add up to the run, to the nanosecond."""

from __future__ import annotations

from typing import Any

import pytest

from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.core import names
from gentrace.core.run.times import State
from gentrace.core.spans import traces as grouped
from tests.core import traces
from tests.core.traces import MS, Tracer


def only(made: Tracer) -> Run:
    (run,) = runs(grouped(made.spans))
    return run


def ms(run: Run) -> dict[str, float]:
    return {str(state): spent / MS for state, spent in run.times.spent_ns.items() if spent}


def test_a_completed_run() -> None:
    run = only(traces.completed())
    assert ms(run) == {
        "api": 261, "queue": 307, "worker": 96, "provider_submit": 51, "provider_run": 6_919,
        "finish": 298,
    }  # fmt: skip
    assert run.duration_ns == 7_932 * MS == run.times.total_ns


def test_a_failed_submission() -> None:
    run = only(traces.failed())
    assert ms(run) == {"api": 54, "queue": 406, "worker": 140, "provider_submit": 280}
    assert run.duration_ns == 880 * MS


def test_an_unfinished_run_counts_to_its_last_sign_of_life() -> None:
    run = only(traces.unfinished())
    assert ms(run) == {"api": 44, "queue": 426, "worker": 20}
    assert (run.outcome, run.duration_ns, run.state) == (None, None, State.WORKER)


def started(job_ms: float = 500, **attributes: Any) -> Tracer:
    t = Tracer("t", "5")
    create = t.span("create_generation", 0, 50, service="api")
    enqueue = t.span("enqueue process_generation", 40, 45, create, kind="PRODUCER", service="api")
    t.span("process_generation", job_ms, job_ms + 100, enqueue, kind="CONSUMER", **attributes)
    return t


def finish(t: Tracer, at_ms: float, outcome: str = "completed") -> None:
    t.span("generation.finish", at_ms - 5, at_ms, None, generation__outcome=outcome)


def requeued(t: Tracer, at_ms: float, defer_s: float, under: int = 2) -> None:
    t.span(
        "enqueue process_generation", at_ms, at_ms + 1, t.spans[under], kind="PRODUCER",
        generation__enqueue__defer_s=defer_s,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        ("requeued", "account_capacity_wait", "account_wait"),
        ("requeued", "no_account_available", "account_wait"),
        ("requeued", "concurrent_limit", "account_wait"),
        ("scheduled", "", "hold"),
        ("requeued", "provider_error", "retry_wait"),
    ],
)
def test_what_a_deferred_enqueue_waits_for(status: str, reason: str, state: str) -> None:
    t = started(generation__job__status=status, generation__job__reason=reason)
    requeued(t, 589, 2.0)
    t.span("process_generation", 2_700, 2_800, t.spans[3], kind="CONSUMER")
    finish(t, 2_790)
    run = only(t)
    assert ms(run)[state] == 2_000
    assert ms(run)["queue"] == 455 + 110
    assert run.times.total_ns == run.duration_ns == 2_790 * MS


def test_a_failed_that_was_put_back_stays_in_the_run() -> None:
    t = started(generation__job__status="failed")
    finish(t, 590, "failed")
    requeued(t, 620, 0, under=0)
    assert only(t).outcome is None
    t.span("process_generation", 1_000, 1_100, t.spans[4], kind="CONSUMER")
    assert only(t).state is State.UNEXPLAINED
    finish(t, 1_090, "completed")
    run = only(t)
    assert run.outcome == "completed"
    assert ms(run) == {"api": 45, "queue": 455 + 379, "worker": 90 + 90, "finish": 31}
    assert run.failure is None


def test_arqs_own_retry_waits_until_the_next_try() -> None:
    t = started(generation__job__outcome="retry")
    t.span("process_generation", 5_600, 5_700, t.spans[1], kind="CONSUMER", generation__job__try=2)
    finish(t, 5_690)
    assert ms(only(t)) == {"api": 45, "queue": 455, "worker": 190, "retry_wait": 5_000}


def test_a_job_that_skips_moves_nothing() -> None:
    t = traces.completed()
    t.span("process_generation", 3_000, 3_010, None, kind="CONSUMER",
           generation__job__status="skipped")  # fmt: skip
    t.span("process_generation", 9_000, 9_010, None, kind="CONSUMER",
           generation__job__status="skipped")  # fmt: skip
    run = only(t)
    assert run.outcome == "completed"
    assert ms(run)["provider_run"] == 6_919


def test_a_job_that_starts_before_its_enqueue_returned() -> None:
    run = only(started(job_ms=42))
    assert ms(run)["api"] == 42
    assert "queue" not in ms(run)


def test_nothing_queued_and_nothing_submitted_is_unexplained() -> None:
    t = started()
    finish(t, 1_600, "cancelled")
    assert ms(only(t))["unexplained"] == 1_000


def test_a_paused_job_is_on_hold() -> None:
    t = started(generation__job__status="paused")
    finish(t, 1_600, "cancelled")
    assert ms(only(t))["hold"] == 1_000


def test_polls_of_an_older_attempt_do_not_move_the_run() -> None:
    t = started()
    for attempt in (1, 2):
        t.span("provider.execute", attempt * 100 + 410, attempt * 100 + 420, t.spans[2],
               generation__provider__job_id=f"j{attempt}")  # fmt: skip
    for job, at_ms in (("j1", 900), ("j2", 2_000)):
        told: dict[str, Any] = {
            "generation.provider.job_id": job,
            "generation.provider.status": "completed",
        }
        t.span("provider.poll", at_ms, at_ms + 10, t.spans[3], **told)
    finish(t, 2_100)
    assert ms(only(t))["provider_run"] == (610 - 520) + (2_010 - 620)


def test_the_run_spans_own_times_are_preferred() -> None:
    t = traces.completed()
    told: dict[str, Any] = {names.TIMES["api"]: 0.25, names.TIMES["provider_run"]: 7.750000001}
    t.span("generation", 0, 8_000.000001, t.spans[0], generation__outcome="completed",
           generation__operation="told", **told)  # fmt: skip
    run = only(t)
    assert run.times.spent_ns == {State.API: 250_000_000, State.PROVIDER_RUN: 7_750_000_001}
    assert run.duration_ns == 8_000_000_001 == t.spans[-1].duration_ns
    assert run.operation == "told"


def test_a_finish_that_raised_reached_nothing() -> None:
    t = started()
    t.span("generation.finish", 580, 585, t.spans[2], error="OperationalError",
           generation__outcome="completed")  # fmt: skip
    assert only(t).outcome is None


def test_a_poll_may_say_when_it_had_its_answer() -> None:
    t = started()
    t.span("provider.execute", 510, 520, t.spans[2], generation__provider__job_id="j")
    read = ("provider.status", 900.0, {"generation.provider.status": "completed"})
    poll = t.span("provider.poll", 800, 1_000, t.spans[3], events=[read],
                  generation__provider__status="completed")  # fmt: skip
    t.span("generation.finish", 950, 990, poll, generation__outcome="completed")
    assert (ms(only(t))["provider_run"], ms(only(t))["finish"]) == (900 - 520, 90)


def test_an_answer_that_is_the_final_status_ends_the_providers_part() -> None:
    t = started(job_ms=100)
    t.span(
        "provider.execute", 120, 170, t.spans[2],
        generation__provider__status="printed", generation__provider__over=True,
    )  # fmt: skip
    finish(t, 190)
    assert ms(only(t)) == {
        "api": 45, "queue": 55, "worker": 20, "provider_submit": 50, "finish": 20,
    }  # fmt: skip


@pytest.mark.parametrize(("over", "state"), [(False, "provider_run"), (True, "finish")])
def test_whether_a_polled_status_is_final_the_span_says_whatever_the_word(
    over: bool, state: str
) -> None:
    t = started(job_ms=100)
    t.span("provider.execute", 120, 130, t.spans[2], generation__provider__job_id="j")
    t.span(
        "provider.poll", 300, 310, t.spans[2],
        generation__provider__status="inking", generation__provider__over=over,
    )  # fmt: skip
    assert only(t).state == State(state)


def status(t: Tracer, at_ms: float, word: str, outcome: str | None = None) -> None:
    told = {"generation.status": word} | ({"generation.outcome": outcome} if outcome else {})
    t.span("job of the host", at_ms, at_ms, t.spans[2], events=[("generation.status", at_ms, told)])


def test_the_end_is_what_a_committed_status_means() -> None:
    t = started(job_ms=100)
    status(t, 110, "running")
    status(t, 180, "withdrawn", "cancelled")
    run = only(t)
    assert (run.outcome, run.duration_ns) == ("cancelled", 180 * MS)


def test_a_status_that_is_not_final_puts_the_end_back() -> None:
    t = started(job_ms=100)
    status(t, 150, "rejected", "failed")
    status(t, 160, "new")
    assert only(t).outcome is None


def test_a_job_that_was_queued_before_the_end_finds_it_over() -> None:
    t = started(job_ms=500)
    t.span("generation.status", 100, 100, t.spans[0], generation__status="withdrawn",
           generation__outcome="cancelled")  # fmt: skip
    run = only(t)
    assert (run.outcome, run.duration_ns) == ("cancelled", 100 * MS)
