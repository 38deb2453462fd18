"""Whatever the spans are, each moment of a run goes to one thing, and the differences add up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gentrace.analysis.compare.pairs import PairComparison, compare
from gentrace.analysis.critical import every
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.analysis.story import story
from gentrace.core import names
from gentrace.core.spans import Span, traces
from gentrace.report.pair_json import as_object
from gentrace.report.pair_page import page
from tests.core.traces import MS, START, trace_id

KINDS = {
    "POST /api/v1/generations": "SERVER", "create_generation": "INTERNAL",
    "enqueue process_generation": "PRODUCER", "process_generation": "CONSUMER",
    "queue.wait": "INTERNAL", "account.wait": "INTERNAL", "provider.execute": "INTERNAL",
    "provider.wait": "INTERNAL", "provider.poll": "INTERNAL", "generation.finish": "INTERNAL",
    "SELECT db": "CLIENT", "<b>": "INTERNAL",
}  # fmt: skip
ATTRIBUTES: list[dict[str, Any]] = [
    {}, {names.OUTCOME: "completed"}, {names.PROVIDER_JOB_ID: "j"}, {names.ENQUEUE_DEFER: 0.5},
    {names.PROVIDER_STATUS: "completed"}, {names.JOB_STATUS: "requeued"}, {"x": "</script>"},
]  # fmt: skip


@st.composite
def a_run(draw: st.DrawFn) -> Run:
    """A run of spans in any order: children before parents, parents unknown, open, given twice."""
    id_ = draw(st.sampled_from(["1", "2"]))
    spans: list[Span] = []
    for number in range(draw(st.integers(1, 14))):
        name = draw(st.sampled_from(sorted(KINDS)))
        parents = ["", "f" * 16, *(span.span_id for span in spans)]
        start_ns = START + draw(st.integers(0, 20_000 * MS))
        took_ns = draw(st.integers(0, 9_000 * MS))
        service = draw(st.sampled_from(["pixsim7-api", "pixsim7-worker"]))
        spans.append(
            Span(
                trace_id(id_), f"{number + 1:016x}", draw(st.sampled_from(parents)), name,
                KINDS[name], start_ns, draw(st.sampled_from([start_ns + took_ns] * 5 + [0])),
                {names.GENERATION_ID: id_, **draw(st.sampled_from(ATTRIBUTES))},
                status=draw(st.sampled_from(["UNSET", "UNSET", "ERROR"])),
                service=service, instance=service,
            )
        )  # fmt: skip
    if draw(st.booleans()):
        spans.append(_run_span(draw, id_))
    if draw(st.booleans()):
        spans.append(draw(st.sampled_from(spans)))
    (found,) = runs(traces(draw(st.permutations(spans))))
    return found


def _run_span(draw: st.DrawFn, id_: str) -> Span:
    spent = [draw(st.integers(0, 5_000_000_000)) for _ in names.TIMES]
    times = {name: ns / 1e9 for name, ns in zip(names.TIMES.values(), spent, strict=True)}
    told: dict[str, Any] = {names.GENERATION_ID: id_, names.OUTCOME: "completed", **times}
    start_ns = START + draw(st.integers(0, 5_000 * MS))
    return Span(
        trace_id(id_), "e" * 16, "", names.RUN, start_ns=start_ns, end_ns=start_ns + sum(spent),
        attributes=told,
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(a_run())
def test_each_moment_of_a_run_goes_to_one_thing(run: Run) -> None:
    told = story(run)
    ends = [told.start_ns, *(step.end_ns for step in told.steps)]
    assert [step.start_ns for step in told.steps] == ends[:-1]
    assert ends[-1] == told.start_ns + run.times.total_ns
    assert all(step.took_ns > 0 for step in told.steps)
    for step in told.steps:
        if step.span is not None and not step.span.open:
            assert step.span.start_ns <= step.start_ns
            assert step.end_ns <= step.span.end_ns
    assert sum(told.spent().values()) == run.times.total_ns
    counted = sum(len(spans) for spans in told.occurrences().values())
    assert counted == sum(1 for _ in every(told.roots))


@settings(max_examples=200, deadline=None)
@given(a_run(), a_run())
def test_differences_add_up_to_that_of_the_durations(a: Run, b: Run) -> None:
    found = compare(a, b)
    assert found.difference_ns == b.times.total_ns - a.times.total_ns
    assert sum(b_ns - a_ns for a_ns, b_ns in found.by_time.values()) == found.difference_ns
    assert sum(row.difference_ns for row in found.by_path) == found.difference_ns
    answer = as_object(found)
    difference_s = answer["difference_s"]
    assert sum(answer["by_time"].values()) == pytest.approx(difference_s, abs=1e-7)
    rows = answer["by_path"]
    assert sum(row["difference_s"] for row in rows) == pytest.approx(difference_s, abs=1e-7)
    for row in rows:
        assert row["b_s"] - row["a_s"] == pytest.approx(row["difference_s"], abs=1e-7)


@settings(max_examples=100, deadline=None)
@given(a_run(), a_run())
def test_the_other_way_round_is_the_same_with_the_sign_turned(a: Run, b: Run) -> None:
    one, other = compare(a, b), compare(b, a)
    assert one.difference_ns == -other.difference_ns
    assert _rows(one) == {path: -ns for path, ns in _rows(other).items()}
    assert (one.divergence is None) == (other.divergence is None)


@settings(max_examples=60, deadline=None)
@given(a_run())
def test_a_run_does_not_differ_from_itself(run: Run) -> None:
    found = compare(run, run)
    assert found.divergence is None
    assert not found.attributes
    assert not any(row.difference_ns for row in found.by_path)


@settings(max_examples=40, deadline=None)
@given(a_run(), a_run())
def test_a_page_can_be_made_of_anything(a: Run, b: Run) -> None:
    assert page(compare(a, b)).endswith("</html>")


def _rows(found: PairComparison) -> dict[str, int]:
    return {row.path: row.difference_ns for row in found.by_path}
