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
from gentrace.report.listing import print_listing
from gentrace.report.show import print_show
from tests.core import traces
from tests.core.traces import START, Tracer

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
