"""Two runs against each other: aligned by path, the first divergence, attributes, bad input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gentrace.analysis.compare import pairs
from gentrace.analysis.compare.pairs import PairComparison, PathRow
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.analysis.story import GAP, story
from gentrace.core import names
from gentrace.core.errors import NotFoundError, UsageError
from gentrace.core.spans import Span
from gentrace.core.spans import traces as grouped
from gentrace.sources import open_source
from tests.core import traces
from tests.core.traces import MS, START, Tracer
from tests.support.lasting import lasting

EXECUTE = "enqueue process_generation > process_generation > provider.execute"


def run_of(spans: Sequence[Span]) -> Run:
    (found,) = runs(grouped(spans))
    return found


def moved(spans: Sequence[Span], after_ms: float, by_ms: float) -> list[Span]:
    """The spans with everything after a moment that much later; what spans it is longer."""
    at_ns, by_ns = START + round(after_ms * MS), round(by_ms * MS)

    def later(ns: int) -> int:
        return ns + by_ns if ns > at_ns else ns

    return [
        replace(
            span, start_ns=later(span.start_ns), end_ns=later(span.end_ns),
            events=tuple(replace(event, at_ns=later(event.at_ns)) for event in span.events),
        )
        for span in spans
    ]  # fmt: skip


def completed_against(spans: Sequence[Span]) -> PairComparison:
    return pairs.compare(run_of(traces.completed().spans), run_of(spans))


def row(found: PairComparison, path: str) -> PathRow:
    return next(each for each in found.by_path if each.path == path)


def test_the_critical_path_goes_through_the_queue_and_the_provider() -> None:
    told = story(run_of(traces.completed().spans))
    names_ = [step.path.rpartition(" > ")[2] for step in told.steps]
    assert names_[0] == "POST /api/v1/generations"
    assert [name for name in names_ if name.startswith(GAP)] == ["gap: queue", "gap: provider_run"]
    spent = told.spent()
    assert spent["gap: queue"] == (568 - 262) * MS - 3 * MS
    assert spent["gap: provider_run"] == (7_588 - 720) * MS
    assert names_[-1] == "generation.finish"


def test_waits_that_are_told_are_no_gaps() -> None:
    t = traces.completed()
    enqueue, execute = (next(s for s in t.spans if s.name == name)
                        for name in ("enqueue process_generation", "provider.execute"))  # fmt: skip
    t.span(names.QUEUE_WAIT, 261, 568, enqueue)
    t.span(names.PROVIDER_WAIT, 715, 7_634, execute)
    told = story(run_of(t.spans))
    assert not [step for step in told.steps if step.span is None]
    spent = told.spent()
    assert spent["enqueue process_generation > queue.wait"] == 307 * MS
    assert spent[f"{EXECUTE} > provider.wait"] == (7_588 - 715) * MS


def test_of_two_at_once_the_one_that_was_waited_for_counts() -> None:
    t = Tracer("p", "5")
    create = t.span("create_generation", 0, 1_000, service="api")
    t.span("short", 100, 300, create)
    t.span("long", 100, 900, create)
    t.span("generation.finish", 990, 1_000, create, generation__outcome="completed")
    spent = story(run_of(t.spans)).spent()
    assert spent["create_generation > long"] == 800 * MS
    assert "create_generation > short" not in spent


def test_a_longer_wait_is_the_divergence_and_the_difference() -> None:
    found = completed_against(moved(traces.completed().spans, 400, 5_000))
    assert found.difference_ns == 5_000 * MS
    assert row(found, "gap: queue").difference_ns == 5_000 * MS
    assert found.by_path[0].path == "gap: queue"
    assert found.divergence is not None
    assert (found.divergence.kind, found.divergence.path) == ("time", "gap: queue")
    assert (found.divergence.a, found.divergence.b) == ("0.303 s", "5.303 s")
    assert not found.attributes


def test_less_than_noise_is_no_divergence() -> None:
    found = completed_against(moved(traces.completed().spans, 400, 15))
    assert found.difference_ns == 15 * MS
    assert found.divergence is None


def test_a_failed_one_parts_where_it_failed() -> None:
    found = completed_against(traces.failed().spans)
    assert found.divergence is not None
    # Another image was asked for: its structure parts at the first lookup that is missing.
    assert found.divergence.kind in ("structure", "time")
    outcomes = {each.name: (each.a, each.b) for each in found.attributes if each.path is None}
    assert outcomes[names.OUTCOME] == ("completed", "failed")
    assert outcomes[names.ERROR_CODE] == (None, "content_prompt_rejected")
    assert outcomes[names.ACCOUNT_ID] == ("1", "2")
    assert row(found, f"{EXECUTE} > pixverse._generate_image_to_video").n_a == 0


def test_an_outcome_parts_two_runs_with_the_same_spans() -> None:
    spans = [
        replace(span, status="ERROR", attributes={**span.attributes, names.ERROR_CODE: "limit"})
        if span.name == "provider.execute" else span
        for span in traces.completed().spans
    ]  # fmt: skip
    found = completed_against(spans)
    assert found.divergence is not None
    assert (found.divergence.kind, found.divergence.path) == ("outcome", EXECUTE)
    assert (found.divergence.a, found.divergence.b) == ("ok", "failed limit")


def with_a_second_try() -> list[Span]:
    """The completed one, but that its first try is put back and the second submits."""
    t = traces.completed()
    t.spans = moved(t.spans, 565, 100)
    job = next(s for s in t.spans if s.name == "process_generation")
    enqueue = next(s for s in t.spans if s.name == "enqueue process_generation")
    first = t.span("process_generation", 568, 580, enqueue, kind="CONSUMER",
                   generation__job__status="requeued")  # fmt: skip
    again = t.span("enqueue process_generation", 575, 577, first, kind="PRODUCER")
    return [replace(s, parent_id=again.span_id) if s is job else s for s in t.spans]


def test_tries_lie_on_one_path_and_are_counted() -> None:
    found = completed_against(with_a_second_try())
    jobs = row(found, "enqueue process_generation > process_generation")
    assert (jobs.n_a, jobs.n_b) == (1, 2)
    assert row(found, EXECUTE).n_b == 1
    assert found.divergence is not None
    assert (found.divergence.kind, found.divergence.b) == ("structure", "2 times")
    assert found.divergence.at_b_ns == 575 * MS


def test_statements_of_sql_are_folded_and_do_not_part_two_runs() -> None:
    t = traces.completed()
    t.sql(next(s for s in t.spans if s.name == "create_generation"), 60, 4)
    found = completed_against(t.spans)
    path = "POST /api/v1/generations > create_generation > SELECT pixsim7"
    assert (row(found, path).n_a, row(found, path).n_b) == (5, 7)
    assert found.divergence is None


def test_ids_of_their_own_are_no_difference() -> None:
    a, b = traces.completed("1", "1").spans, traces.completed("2", "2").spans
    told = [{"path": "/media/1.mp4", "version": "1.1"}, {"path": "/media/2.mp4", "version": "1.1"}]
    a, b = (
        [replace(s, attributes={**s.attributes, **extra}) if s.name == "account.select" else s
         for s in spans]
        for spans, extra in zip((a, b), told, strict=True)
    )  # fmt: skip
    assert not pairs.compare(run_of(a), run_of(b)).attributes


def only_run_span(**spent_s: float) -> list[Span]:
    times: dict[str, Any] = {names.TIMES[name]: value for name, value in spent_s.items()}
    t = Tracer("only", "28")
    took_ms = sum(spent_s.values()) * 1_000
    t.span(names.RUN, 0, took_ms, generation__outcome="completed", **times)
    return t.spans


def test_a_run_span_alone_is_compared_by_its_times() -> None:
    found = completed_against(only_run_span(api=0.261, queue=5.307, provider_run=6.919))
    assert found.by_states
    assert {row.path for row in found.by_path} >= {"queue", "provider_run"}
    assert row(found, "queue").difference_ns == 5_000 * MS
    assert sum(row.difference_ns for row in found.by_path) == found.difference_ns
    assert found.divergence is not None
    assert (found.divergence.kind, found.divergence.path) == ("time", "queue")
    assert any("only its run span" in note for note in found.notes)


def test_a_run_span_that_its_spans_do_not_bear_out_is_said() -> None:
    spans = [*traces.completed().spans]
    api_s, queue_s = names.TIMES["api"], names.TIMES["queue"]
    told = {api_s: 0.261, queue_s: 7.671, names.OUTCOME: "completed", names.GENERATION_ID: "28"}
    spans.append(
        Span(spans[0].trace_id, "e" * 16, "", names.RUN, start_ns=START,
             end_ns=START + 7_932 * MS, attributes=told)
    )  # fmt: skip
    notes = completed_against(spans).notes
    assert any("generation.time.queue_s is 7.671 on the run span, and 0.307" in n for n in notes)


def test_clocks_that_differ_are_said_and_the_rest_is_answered() -> None:
    spans = [
        replace(span, start_ns=span.start_ns - 500 * MS, end_ns=span.end_ns - 500 * MS)
        if span.service.endswith("worker") else span
        for span in traces.completed().spans
    ]  # fmt: skip
    found = completed_against(spans)
    assert found.b.incomplete == ["clock"]
    assert any(note.startswith("B: clock: one span starts before") for note in found.notes)
    assert sum(row.difference_ns for row in found.by_path) == found.difference_ns


def test_what_is_wrong_with_the_spans_is_said(tmp_path: Path) -> None:
    a, b = traces.completed(), traces.unfinished()
    traces.write(tmp_path / "spans-a.jsonl", a, b)
    text = (tmp_path / "spans-a.jsonl").read_text(encoding="utf-8")
    turned = "".join(reversed(text.splitlines(keepends=True)))
    (tmp_path / "spans-b.jsonl").write_text(turned + "{damaged\n", encoding="utf-8")
    source = open_source(str(tmp_path))
    notes = pairs.compare(*pairs.choose(source, "28", "30")).notes
    assert any(f"A: {len(a.spans)} spans came twice" in note for note in notes)
    assert any("A and B: no run span is there" in note for note in notes)
    assert any("B: it has not ended" in note for note in notes)
    assert source.notes


def test_spans_without_end_below_each_other_and_in_a_circle_are_answered() -> None:
    t = traces.completed()
    deep = t.spans[1]
    for number in range(3_000):
        deep = t.span(f"level {number % 7}", 300 + number * 0.01, 5_000, deep)
    round_ = [t.span("round", 400, 500, "f" * 16) for _ in range(500)]
    turned = {span.span_id: round_[n - 1].span_id for n, span in enumerate(round_)}
    spans = [replace(s, parent_id=turned.get(s.span_id, s.parent_id)) for s in t.spans]
    found = completed_against(spans)
    assert len(spans) == sum(row.n_b for row in found.by_path if not row.path.startswith(GAP))
    assert sum(row.difference_ns for row in found.by_path) == found.difference_ns


def test_many_branches_that_end_late_are_answered_quickly() -> None:
    t = traces.completed()
    for number in range(2_500):
        put = t.span("enqueue other", 50 + number * 0.01, 60, t.spans[1], kind="PRODUCER")
        t.span("other", 3_000 + number, 3_001 + number, put, kind="CONSUMER")
    with lasting() as took:
        found = completed_against(t.spans)
    assert took[0] < 10
    assert row(found, "enqueue other > other").n_b == 2_500


@pytest.fixture
def spool(tmp_path: Path) -> str:
    retried = traces.completed("again", "28", START + 60_000 * MS)
    traces.write(tmp_path / "spans-a.jsonl", traces.completed(), traces.failed(), retried)
    return str(tmp_path)


def test_one_id_compares_its_first_run_with_its_retry(spool: str) -> None:
    a, b = pairs.choose(open_source(spool), "28")
    assert (a.trace_id, b.trace_id) == (traces.trace_id("28"), traces.trace_id("again"))


def test_trace_ids_name_runs_too(spool: str) -> None:
    source = open_source(spool)
    a, b = pairs.choose(source, traces.trace_id("28")[:12], traces.trace_id("29"))
    assert (a.id, b.id) == ("28", "29")
    assert pairs.compare(a, a).notes[0] == "A and B are the same run"


def test_what_cannot_be_compared_is_said(spool: str) -> None:
    source = open_source(spool)
    with pytest.raises(UsageError, match="29 has one run only"):
        pairs.choose(source, "29")
    with pytest.raises(NotFoundError, match="no generation '77'"):
        pairs.choose(source, "28", "77")
    with pytest.raises(UsageError, match="name a generation"):
        pairs.choose(source, "")
