"""A trace of twice the size takes twice the steps, whatever its shape; no clock is asked."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from rich.console import Console

from gentrace.analysis.compare import pairs
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.core.spans import Trace, traces
from gentrace.report import json, pair, pair_json, pair_page
from gentrace.report.show import print_show
from tests.support.shapes import SHAPES, shaped

SIZE = 500
MOST = 2.5  # times the steps at twice the size: less than twice as long a sort, far less than four


def _console() -> Console:
    return Console(file=io.StringIO(), width=120)


def _grouped(trace: Trace) -> list[Run]:
    return runs(traces(trace.spans))


def _row(trace: Trace) -> None:
    for run in _grouped(trace):
        json.row(run)


def _show(trace: Trace) -> None:
    found = _grouped(trace)
    print_show(_console(), found, found[-1])


def _show_json(trace: Trace) -> None:
    found = _grouped(trace)
    json.show(found, found[-1])


def _compare(trace: Trace) -> None:
    run = _grouped(trace)[-1]
    found = pairs.compare(run, run)
    pair.print_pair(_console(), found)
    pair_json.as_object(found)


def _page(trace: Trace) -> None:
    run = _grouped(trace)[-1]
    pair_page.page(pairs.compare(run, run))


VIEWS: dict[str, Callable[[Trace], None]] = {
    "list": _row, "show": _show, "show --json": _show_json, "compare": _compare, "page": _page,
}  # fmt: skip


def steps(work: Callable[[Trace], None], trace: Trace) -> int:
    """How many lines of Python it runs, each turn of a loop counted."""
    count = 0

    def line(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        work(trace)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_size_takes_twice_the_steps(shape: str, view: str) -> None:
    work = VIEWS[view]
    work(shaped(shape, 20))  # what is made once
    small, large = (steps(work, shaped(shape, size)) for size in (SIZE, 2 * SIZE))
    assert large < small * MOST, f"{small} steps, then {large}"
