"""Group questions read of runs what `list` and `show` read of them, however odd they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentrace.analysis import filters, grouping, remarks
from gentrace.analysis.compare import ask, pairs, read
from gentrace.analysis.compare.ask import Side
from gentrace.analysis.compare.read import Runs
from gentrace.analysis.runs import Run
from gentrace.core import names
from gentrace.core.errors import UsageError
from gentrace.core.run.times import State
from gentrace.core.spans import traces as grouped
from gentrace.sources.index import of_traces
from gentrace.sources.index.scan import TELLING
from gentrace.sources.otlp_files import OtlpFiles
from tests.core import traces
from tests.core.traces import MINUTE_NS, START, Tracer

Read = Callable[..., tuple[Runs, list[Run]]]


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """The runs of these traces, as group questions and as `list` and `show` see them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def given(*tracers: Tracer) -> tuple[Runs, list[Run]]:
        traces.write(tmp_path / "files" / "spans.jsonl", *tracers)
        spans = [span for tracer in tracers for span in tracer.spans]
        return read.read(OtlpFiles(tmp_path / "files")), grouping.runs(grouped(spans))

    return given


def ended(number: int, took_ms: float = 20_000, start_ns: int = 0, **told: Any) -> Tracer:
    """A trace of nothing but a run span."""
    tracer = Tracer(f"run-{number}", str(number), start_ns or START + number * MINUTE_NS)
    usual: dict[str, Any] = {"generation__outcome": "completed", "generation__run": 1}
    tracer.span(names.RUN, 0, took_ms, **{**usual, **told})
    return tracer


def spent(queue: Any, provider_run: Any) -> dict[str, Any]:
    return {"generation__time__queue_s": queue, "generation__time__provider_run_s": provider_run}


@pytest.mark.parametrize(
    ("told", "left", "said"),
    [
        (spent(1.0, 5.0), (1.0, 5.0, 14.0), "14.000 s are missing"),
        (spent(10.0, 30.0), (5.0, 15.0, 0.0), "20.000 s are too many"),
        (spent(1.0, float("nan")), (1.0, 0.0, 19.0), "19.000 s are missing"),
        (spent(1.0, "long"), (1.0, 0.0, 19.0), "19.000 s are missing"),
        (spent(1.0, 19.0000004), (1.0, 19.0000004, 0.0), ""),
        ({}, (0.0, 0.0, 20.0), "20.000 s are missing"),
    ],
)
def test_the_run_spans_own_duration_is_the_duration(
    reading: Read, told: dict[str, Any], left: tuple[float, ...], said: str
) -> None:
    runs, (run,) = reading(ended(1, **told))
    states = State.QUEUE, State.PROVIDER_RUN, State.UNEXPLAINED
    table = runs.table
    assert [table.times[state][0] for state in states] == pytest.approx(left)
    assert [run.times.spent_ns.get(s, 0) / 1e9 for s in states] == pytest.approx(left)
    assert table.seconds[0] == pytest.approx(20)
    assert run.duration_ns is not None
    assert run.duration_ns / 1e9 == pytest.approx(20)
    assert sum(column[0] for column in table.times.values()) == pytest.approx(20)
    assert said in " ".join(remarks.of_run(run))
    assert any("do not add up" in note for note in runs.notes) == bool(said)


def test_of_a_run_span_that_ends_before_it_starts_the_times_count(reading: Read) -> None:
    runs, (run,) = reading(ended(1, -5_000, **spent(1.0, 5.0)))
    assert (runs.table.seconds[0], run.duration_ns) == (6.0, 6 * 10**9)


def test_a_run_without_a_start_is_left_out_and_said(reading: Read) -> None:
    runs, _ = reading(ended(1, **spent(1.0, 19.0)), ended(2, start_ns=1, **spent(1.0, 19.0)))
    assert list(runs.table.ids) == ["1"]
    assert [note for note in runs.notes if "one run span has no start" in note]


def test_runs_that_all_lack_an_outcome_are_unfinished(reading: Read) -> None:
    told = spent(1.0, 19.0)
    runs, listed = reading(*(ended(n, generation__outcome="", **told) for n in range(3)))
    assert not runs.table.ended.any()
    assert {run.outcome for run in listed} == {None}


def test_conditions_know_counts_as_they_are_and_as_they_are_shown(reading: Read) -> None:
    told = [ended(n, generation__tries=n, **spent(1.0, 19.0)) for n in (1, 3, 4, 5, 40)]
    runs, _ = reading(*told, traces.unfinished())

    def hold(value: str) -> list[str]:
        chosen = runs.table.chosen(runs.table.start_ns > 0)  # as every question begins
        return list(chosen.chosen(ask.holds(chosen, names.TRIES, value)).ids)

    assert [hold(value) for value in ("4", "5", "40", "41")] == [["4"], ["5"], ["40"], []]
    assert hold("4+") == ["4", "5", "40"]
    assert set(runs.table.column(names.TRIES).words) == {"1", "3", "4+"}


def test_a_condition_on_the_number_of_the_run(reading: Read) -> None:
    runs, _ = reading(ended(1), ended(2, generation__run=2))
    assert ask.holds(runs.table, names.GENERATION_RUN, "2").tolist() == [False, True]
    assert not ask.holds(runs.table, names.GENERATION_RUN, "second").any()


@pytest.mark.parametrize("name", ["POST /generations", "queue.wait", "pixverse._generate"])
def test_runs_known_by_any_span_of_theirs_are_counted(reading: Read, name: str) -> None:
    going = [Tracer(f"going-{n}", f"9{n}", START + n * MINUTE_NS) for n in range(3)]
    for tracer in going:
        tracer.span(name, 0, 10, kind="SERVER" if name.startswith("POST") else "INTERNAL")
    runs, listed = reading(ended(1), *going)
    assert sorted(runs.table.ids) == sorted(run.id or "" for run in listed)
    assert int(runs.table.ended.sum()) == 1
    spans = [span for tracer in (ended(1), *going) for span in tracer.spans]
    _, others = of_traces(grouped(spans))
    assert {trace.trace_id for trace in others} == {tracer.trace_id for tracer in going}


def test_a_generation_without_a_run_span_beside_one_that_has_one(reading: Read) -> None:
    both = ended(1)
    other = both.span(names.CREATE_GENERATION, 0, 10, generation__id="2")
    both.span("queue.wait", 10, 20, other)  # of the first
    runs, listed = reading(both, ended(3))
    assert sorted(runs.table.ids) == ["1", "2", "3"] == sorted(run.id or "" for run in listed)
    assert runs.table.ended.sum() == 2
    found, (rest,) = of_traces(grouped(both.spans))
    assert (found.ids.tolist(), [span.span_id for span in rest.spans]) == (["1"], [other.span_id])


def test_what_only_names_a_generation_is_left_out_where_more_is_told() -> None:
    made = traces.unfinished()
    _, (found,) = of_traces(grouped(made.spans))
    assert {span.name for span in found.spans} == {s.name for s in made.spans} & TELLING


def test_a_trace_of_several_generations_is_no_run_to_compare(reading: Read, tmp_path: Path) -> None:
    both = ended(1)
    both.span(names.CREATE_GENERATION, 0, 10, generation__id="2")
    reading(both, ended(3))
    source = OtlpFiles(tmp_path / "files")
    for asked in ((both.trace_id, ""), ("3", both.trace_id)):
        with pytest.raises(UsageError, match=r"several generations \(1, 2\)"):
            pairs.choose(source, *asked)
    a, b = pairs.choose(source, "1", "2")
    assert (a.id, b.id) == ("1", "2")


def test_a_condition_keeps_the_spaces_of_its_value(reading: Read) -> None:
    runs, _ = reading(ended(1, generation__account__id="  pad  "), ended(2))
    side = Side((filters.condition("account=  pad  "),))
    assert side.of(runs.table).tolist() == [True, False]


def test_the_same_conditions_are_the_same_side() -> None:
    a = Side((("account", "3"), ("model", "v5")))
    assert a.same_as(Side((("model", "v5"), (names.ACCOUNT_ID, "3"))))
    assert not a.same_as(Side((("model", "v5"), ("account", "4"))))


def test_an_attribute_that_only_other_spans_have_is_said_to_be_unknown_here(
    reading: Read, tmp_path: Path
) -> None:
    reading(ended(1))
    side = Side((("service.name", "pixsim7-worker"),))
    found = ask.two_groups(OtlpFiles(tmp_path / "files"), side, Side(), Side())
    (said,) = (note for note in found.notes if "service.name" in note)
    assert "groups know what its run span says" in said
