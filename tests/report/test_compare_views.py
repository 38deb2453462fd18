"""What people see of comparisons, held as text at 80 and 120 columns; see test_views."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from gentrace.analysis.compare import pairs
from gentrace.analysis.grouping import runs
from gentrace.core.spans import Span
from gentrace.core.spans import traces as grouped
from gentrace.report.groups import print_groups
from gentrace.report.links import Links
from gentrace.report.pair import print_pair
from tests.core import traces
from tests.report import made_up
from tests.report.test_views import GOLDEN, rendered, utc

Draw = Callable[[Console], None]
_ = utc  # the fixture


def pair(a: list[Span], b: list[Span], links: Links | None = None) -> Draw:
    one, other = (runs(grouped(spans))[0] for spans in (a, b))
    return lambda to: print_pair(to, pairs.compare(one, other), links)


def completed_and_failed() -> Draw:
    return pair(traces.completed().spans, traces.failed().spans, Links("http://127.0.0.1:16686"))


def unfinished() -> Draw:
    return pair(traces.completed().spans, traces.unfinished().spans)


def same() -> Draw:
    return pair(traces.completed().spans, traces.completed("2", "2").spans)


VIEWS: dict[str, Callable[[], Draw]] = {
    "compare_pair": completed_and_failed,
    "compare_unfinished": unfinished,
    "compare_same": same,
    "compare_slow": lambda: lambda to: print_groups(to, made_up.slow()),
    "compare_failing": lambda: (
        lambda to: print_groups(to, made_up.failing(), Links("http://127.0.0.1:16686"))
    ),
    "compare_nothing": lambda: lambda to: print_groups(to, made_up.nothing()),
}


@pytest.fixture(autouse=True)
def in_utc(utc: None) -> None:
    """Moments are told in local time."""


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", VIEWS)
def test_views_are_as_they_were(name: str, width: int) -> None:
    text = rendered(VIEWS[name](), width)
    path = GOLDEN / f"{name}_{width}.txt"
    if os.environ.get("GENTRACE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("name", VIEWS)
def test_nothing_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = rendered(VIEWS[name](), max(width, 80)).splitlines()
    told = [line for line in lines if not line.startswith("http")]
    assert max(cell_len(line) for line in told) <= max(width, 80)


def test_an_ascii_terminal_shows_the_same() -> None:
    text = rendered(completed_and_failed(), encoding="ascii")
    assert "first divergence" in text
    assert "?" not in text


def test_what_a_host_wrote_cannot_command_the_terminal() -> None:
    evil = [
        replace(span, name=f"\x1b[2J\x1b]0;x\x07{span.name}") if span.kind == "INTERNAL" else span
        for span in traces.completed().spans
    ]
    text = rendered(pair(traces.completed().spans, evil))
    assert not {"\x1b", "\x07"} & set(text)
    assert "\ufffd[2J" in text
