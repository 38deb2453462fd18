"""Time inside a job of which no span tells, and the pauses that the host's log names."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gentrace.analysis import gaps
from gentrace.analysis.grouping import runs
from gentrace.analysis.pauses import pauses
from gentrace.analysis.story import story
from gentrace.analysis.tree import build
from gentrace.core import names
from gentrace.core.spans import Span
from gentrace.core.spans import traces as grouped
from tests.core.traces import MS, Tracer
from tests.report import retried

Told = tuple[str, float, float, str | None, str | None]


def found(t: Tracer) -> list[Told]:
    """Name of the span, start and length in ms, and what stands around it."""
    every = gaps.find(build(t.spans)).values()
    return sorted(
        (
            gap.span.name, (gap.start_ns - t.start_ns) / MS, gap.took_ns / MS,
            gap.after and gap.after.name, gap.before and gap.before.name,
        )
        for several in every for gap in several
    )  # fmt: skip


def job(t: Tracer, end_ms: float = 10_000, **told: Any) -> Span:
    return t.span("process_generation", 0, end_ms, kind="CONSUMER", **told)


def test_a_gap_says_what_ran_last_and_what_next() -> None:
    t = Tracer("g", "1")
    top = job(t)
    t.span("account.select", 100, 900, top)
    t.span("provider.execute", 4000, 9500, top)
    assert found(t) == [
        ("process_generation", 900, 3100, "account.select", "provider.execute"),
    ]


def test_gaps_at_the_beginning_and_the_end() -> None:
    t = Tracer("g", "1")
    t.span("account.select", 2000, 3000, job(t))
    assert found(t) == [
        ("process_generation", 0, 2000, None, "account.select"),
        ("process_generation", 3000, 7000, "account.select", None),
    ]


def test_a_job_without_any_span_is_one_gap() -> None:
    t = Tracer("g", "1")
    job(t)
    assert found(t) == [("process_generation", 0, 10_000, None, None)]


def test_a_second_is_needed_and_other_spans_at_work_fill_it() -> None:
    t = Tracer("g", "1")
    top = job(t, 4000)
    t.span("account.select", 0, 1500, top)
    long = t.span("provider.execute", 500, 3100, top)
    t.span("pixverse.execute", 500, 3100, long)
    t.span("account.credits", 1600, 1700, top)
    assert found(t) == []


def test_what_the_run_waited_for_fills_no_gap_of_the_job() -> None:
    t = Tracer("g", "1")
    top = job(t, 5000)
    t.span("account.select", 0, 10, top)
    t.span(names.RUN, 0, 9000, top)
    t.span(names.PROVIDER_WAIT, 1000, 5000, top)
    assert found(t) == [("process_generation", 10, 4990, "account.select", None)]


def test_what_came_when_it_was_over_belongs_to_no_gap() -> None:
    t = Tracer("g", "1")
    top = job(t, 3000)
    t.span("account.select", 0, 2500, top)
    t.span("provider.poll", 8000, 8100, top)
    assert found(t) == []


def test_deeper_spans_have_gaps_and_folded_calls_stand_around_them() -> None:
    t = Tracer("g", "1")
    top = job(t)
    t.sql(top, 0, 3)
    execute = t.span("provider.execute", 2, 10_000, top)
    t.span("POST", 5000, 10_000, execute, kind="CLIENT", http__request__method="POST")
    assert found(t) == [("provider.execute", 2, 4998, None, "POST")]


@pytest.mark.parametrize("fold", [True, False])
def test_calls_that_stand_in_one_line_hide_no_gap_between_them(fold: bool) -> None:
    t = Tracer("g", "1")
    top = t.span("create_generation", 0, 9000)
    t.sql(top, 5, 3)
    t.sql(top, 7000, 2)
    t.sql(top, 9500, 1)
    calls = sorted(s.start_ns for s in t.spans if s.parent_id == top.span_id)
    first, again = (span for span in t.spans if span.start_ns in (calls[2], calls[3]))
    (told,) = gaps.find(build(t.spans, fold=fold)).values()
    seen = [(gap.start_ns, gap.end_ns, gap.after, gap.before) for gap in told]
    assert seen[0] == (first.last_ns, again.start_ns, first, again)
    assert [each[1] for each in seen[1:]] == [top.end_ns]


def test_a_job_still_open_has_gaps_between_its_spans_only() -> None:
    t = Tracer("g", "1")
    top = job(t, -1)
    t.span("account.select", 0, 10, top)
    t.span("account.credits", 3000, 3010, top)
    assert found(t) == [("process_generation", 10, 2990, "account.select", "account.credits")]


def test_a_gap_names_what_the_host_logged_in_it() -> None:
    t = Tracer("g", "1")
    events = [("before", 5, {}), ("inside", 2000, {}), (names.EVENT_STATUS, 2100, {})]
    top = job(t, 3000, events=events)
    t.span("account.select", 0, 10, top)
    ((gap,),) = gaps.find(build(t.spans)).values()
    assert [event.name for event in gap.logged] == ["inside"]


def test_a_deep_chain_is_gone_through_once() -> None:
    t = Tracer("g", "1")
    above = job(t, 3000)
    for _ in range(20_000):
        above = t.span("nested", 0, 3000, above)
    assert found(t) == []


# -- pauses --------------------------------------------------------------------------------
def paused(*events: tuple[str, float, Any], end_ms: float = 10_000) -> Tracer:
    t = Tracer("p", "1")
    top = job(t, end_ms, events=[(name, ms, {names.PAUSE: s}) for name, ms, s in events])
    t.span("account.select", 0, 10, top)
    t.span("provider.execute", 4000, end_ms, top)
    return t


def told(t: Tracer) -> list[tuple[str, float, float]]:
    return [
        (span.name, (span.start_ns - t.start_ns) / MS, span.duration_ns / MS)
        for span in pauses(t.spans)
    ]


def test_a_pause_that_was_logged_stands_in_the_tree_and_leaves_no_gap() -> None:
    t = paused(("dispatch_stagger", 20, 3.5))
    assert told(t) == [("pause: dispatch_stagger", 20, 3500)]
    assert found(t) == []


def test_a_pause_is_over_when_the_next_thing_starts() -> None:
    assert told(paused(("dispatch_stagger", 20, 100.0))) == [("pause: dispatch_stagger", 20, 3980)]
    t = Tracer("p", "1")
    job(t, 300, events=[("dispatch_stagger", 20, {names.PAUSE: 8.0})])  # cancelled meanwhile
    assert told(t) == [("pause: dispatch_stagger", 20, 280)]


@pytest.mark.parametrize("seconds", [0, -1.0, math.inf, math.nan, "2", None, True, 10**12])
def test_what_is_no_duration_is_no_pause(seconds: Any) -> None:
    assert told(paused(("dispatch_stagger", 20, seconds))) == []


def test_a_comparison_gives_a_pause_a_path_of_its_own() -> None:
    (run,) = runs(grouped(retried.by_requeues(1).spans))
    spent = story(run).spent()
    (path,) = [path for path in spent if path.endswith("pause: dispatch_stagger")]
    assert path.endswith("process_generation > pause: dispatch_stagger")
    assert spent[path] == pytest.approx(2400 * MS, abs=MS)
    assert sum(spent.values()) == story(run).total_ns
