"""What people see, held as text at 80 columns; ``GENTRACE_GOLDEN=write`` renews the files."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from gentrace.analysis.generations import Listing
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.core import names
from gentrace.core.spans import traces as grouped
from gentrace.report import json
from gentrace.report.listing import print_listing
from gentrace.report.show import print_show
from tests.core import traces
from tests.core.traces import START, Tracer
from tests.report import retried

GOLDEN = Path(__file__).parent / "golden"
MINUTE = 60 * 10**9
NOW = START + 10 * MINUTE


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def rendered(draw: Callable[[Console], None], width: int = 80, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    draw(Console(file=file, width=width, highlight=False, emoji=False, markup=False))
    file.flush()
    file.seek(0)
    return file.read()


def everything() -> list[Run]:
    made = [traces.completed(), traces.failed(start_ns=START + MINUTE)]
    made += [traces.unfinished(start_ns=START + 2 * MINUTE)]
    made += [traces.refused(start_ns=START + 3 * MINUTE)]
    made += [traces.returned(start_ns=START + 4 * MINUTE)]
    made += [traces.completed("again", "28", START + 5 * MINUTE)]
    found = runs(grouped([span for t in made for span in t.spans]))
    return [replace(run, number=2) if run.trace_id == made[-1].trace_id else run for run in found]


def of(made: Tracer) -> Run:
    (run,) = runs(grouped(made.spans))
    return run


def show(run: Run, others: Sequence[Run] = (), *, full: bool = False) -> Callable[[Console], None]:
    def draw(to: Console) -> None:
        print_show(to, [*others, run], run, everything=full, now_ns=NOW)

    return draw


def with_run() -> Run:
    """The failed one as its processes leave it: with the span of its run and its first wait."""
    t = traces.failed()
    server, enqueue = (next(s for s in t.spans if s.kind == k) for k in ("SERVER", "PRODUCER"))
    times: dict[str, Any] = {f"generation__time__{state}_s": 0.0 for state in names.TIMES}
    times |= {"generation__time__api_s": 0.05, "generation__time__queue_s": 0.41}
    times |= {"generation__time__worker_s": 0.02, "generation__time__provider_submit_s": 0.31}
    told: dict[str, Any] = {
        "generation__run": 2, "generation__outcome": "failed", "generation__stage": "finished",
        "generation__operation": "image_to_video", "generation__provider": "pixverse",
        "generation__error__code": "content_prompt_rejected",
    }  # fmt: skip
    t.span(names.RUN, 0, 790, server, error="failed", message="code", **told, **times)
    t.span(names.QUEUE_WAIT, 52, 460, enqueue)
    return of(t)


def listing(found: Sequence[Run], truncated: bool = False) -> Callable[[Console], None]:
    def draw(to: Console) -> None:
        print_listing(to, Listing([*reversed(found)], truncated, 40), NOW)

    return draw


VIEWS: dict[str, Callable[[], Callable[[Console], None]]] = {
    "list": lambda: listing(everything(), truncated=True),
    "show_completed": lambda: show(of(traces.completed())),
    "show_failed": lambda: show(of(traces.failed()), [of(traces.completed("x", "29"))]),
    "show_failed_all": lambda: show(of(traces.failed()), full=True),
    "show_run": lambda: show(with_run()),
    "show_unfinished": lambda: show(of(traces.unfinished())),
    "show_returned": lambda: show(of(traces.returned())),
    "show_tried_by_arq": lambda: show(of(retried.by_arq())),
    "show_tried_by_requeues": lambda: show(of(retried.by_requeues())),
    "show_tried_by_attempts": lambda: show(of(retried.by_attempts())),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_as_they_were(name: str) -> None:
    text = rendered(VIEWS[name]())
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GENTRACE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("name", VIEWS)
def test_nothing_is_wider_than_the_terminal_and_nothing_is_cut(name: str, width: int) -> None:
    text = rendered(VIEWS[name](), width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "…" not in text.replace("/…/", "")
    letters = "".join(c for c in text if c.isalnum())
    if name.startswith("show_failed"):
        assert "contentpromptrejected" in letters


@pytest.mark.parametrize("width", [80, 120])
def test_more_tries_make_the_view_no_longer(width: int) -> None:
    def lines(made: Tracer) -> int:
        return len(rendered(show(of(made)), width).splitlines())

    assert lines(retried.by_arq(30)) <= lines(retried.by_arq(3)) + 3
    assert lines(retried.by_requeues(30)) <= lines(retried.by_requeues(3)) + 8
    assert lines(retried.by_attempts(30)) <= lines(retried.by_attempts(3)) + 3


@pytest.mark.parametrize("made", [retried.by_arq, retried.by_requeues, retried.by_attempts])
def test_all_unfolds_tries_and_log_events(made: Callable[[], Tracer]) -> None:
    text = rendered(show(of(made()), full=True), 120)
    spans = made().spans
    jobs = [span for span in spans if span.name in ("process_generation", "provider.execute")]
    assert sum(text.count(span.name) for span in {s.name: s for s in jobs}.values()) >= len(jobs)
    assert text.count("•") >= 2 * sum(len(span.events) for span in spans)  # on the axis, before it
    assert "folded" not in text


def test_programs_get_every_try_every_gap_and_every_event() -> None:
    run = of(retried.by_requeues())
    (told,) = json.show([run], run)["runs"]
    assert [(one["number"], one["like"], one["reason"]) for one in told["tried"]][:3] == [
        (1, None, "account_quota_exhausted"),
        (2, None, "account_capacity_wait"),
        (3, 1, "account_quota_exhausted"),
    ]
    assert [a["provider_status"] for a in told["tried"][-1]["attempts"]] == ["completed"]
    assert told["tried"][0]["error_code"] == "502"
    (gap,) = told["gaps"]
    assert (gap["after"], gap["before"], gap["duration_s"]) == ("pixverse.execute", None, 3.3)
    assert len(told["spans"]) == len(run.parts.spans)
    events = [event for span in told["spans"] for event in span["events"]]
    assert len(events) == sum(len(span.events) for span in run.parts.spans)


def test_workers_are_told_apart_where_there_are_several() -> None:
    made = retried.by_arq(3)
    jobs = [span for span in made.spans if span.name == names.PROCESS_GENERATION]
    made.spans = [
        replace(span, instance="worker-2", resource={"process.pid": 77})
        if span is jobs[1]
        else span
        for span in made.spans
    ]
    table = rendered(show(of(made)), 120).partition("\ntry")[2].partition("\n\n")[0]
    assert "worker worker-1" in table
    assert "worker 77" in table


def test_a_terminal_without_utf8_gets_ascii() -> None:
    for draw in VIEWS.values():
        assert rendered(draw(), encoding="ascii").isascii()


def test_a_deep_tree_with_long_names_is_wrapped() -> None:
    t = Tracer("deep", "1")
    parent = t.span("create_generation", 0, 100)
    for level in range(12):
        parent = t.span(f"provider._a_rather_long_method_name_{level}", level, 99, parent)
    text = rendered(show(of(t)))
    assert max(map(len, text.splitlines())) <= 90  # at 12 levels the tree itself needs more
    assert "method_name_11" in "".join(c for c in text if not c.isspace() and c != "│")


def test_texts_of_the_host_are_no_markup() -> None:
    t = Tracer("m", "1")
    t.span("create_generation", 0, 5, error="E", message="[red]not markup[/red] :smile:")
    assert "[red]not markup[/red] :smile:" in rendered(show(of(t)), 120)
