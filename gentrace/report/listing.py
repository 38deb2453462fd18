"""The table of ``list``: a line each run, a second one for its error; fits 80 columns."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gentrace.analysis import filters
from gentrace.analysis.generations import Listing
from gentrace.analysis.runs import Run
from gentrace.core.run.times import State
from gentrace.report import words
from gentrace.report.links import Searches, print_searches
from gentrace.report.terminal import say, wrapped, write
from gentrace.report.visible import SIGN, visible

HEAD = ("id", "when", "outcome", "took", "operation", "provider/model", "time went")
_TOOK, _SHRINKABLE, _NARROWEST = 3, (0, 4, 5, 6), 9
_SHORT = {State.PROVIDER_RUN: "provider", State.PROVIDER_SUBMIT: "submit"}


def print_listing(
    to: Console, found: Listing, now_ns: int | None = None, searches: Searches | None = None
) -> None:
    """The table, newest first, how many more there are, and where Jaeger shows the same."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    rows = [_cells(run, now_ns) for run in found.runs]
    gap = 2 if to.width >= 100 else 1
    widths = _widths([HEAD, *rows], to.width - gap * (len(HEAD) - 1))
    for line in _lines(HEAD, widths, gap):
        write(to, Text(line, "dim"))
    for run, row in zip(found.runs, rows, strict=True):
        for number, line in enumerate(_lines(row, widths, gap)):
            text = Text(line)
            if number == 0:
                outcome_at = widths[0] + widths[1] + 2 * gap
                text.stylize("bold" if run.id else "dim", 0, widths[0])
                style = words.STYLES.get(row[2], "dim")
                text.stylize(style, outcome_at, outcome_at + widths[2])
            write(to, text)
        if run.outcome == "failed" or (run.id is None and run.error_type):
            error = words.reason(run)
            for line in wrapped(f"✗ {error}", to.width - widths[0] - gap) if error else ():
                write(to, Text(" " * (widths[0] + gap) + line, "red"))
    if found.truncated:
        count = f"{len(found.runs)} of {found.matching}"
        say(to, f"{count} shown; --limit N shows more, --since and --outcome narrow it", "dim")
    if searches:
        print_searches(to, searches, len(found.runs))


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """Each column as wide as its widest cell; when that is too much, the widest give way."""
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(HEAD))]
    while sum(widths) > room:
        widest = max(_SHRINKABLE, key=lambda column: widths[column])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _lines(row: Sequence[str], widths: Sequence[int], gap: int) -> Iterator[str]:
    """The row's lines: a cell that is too long goes on below."""
    cells = [
        wrapped(cell, width) if cell_len(cell) > width else [cell]
        for cell, width in zip(row, widths, strict=True)
    ]
    for number in range(max(len(cell) for cell in cells)):
        parts: list[str] = []
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            text = cell[number] if number < len(cell) else ""
            space = " " * (width - cell_len(text))
            parts.append(space + text if column == _TOOK else text + space)
        yield (" " * gap).join(parts).rstrip()


def _cells(run: Run, now_ns: int) -> list[str]:
    took_ns = run.duration_ns if run.id is not None else run.last_ns - run.start_ns
    id_ = run.id or (f"({run.returned_id})" if run.returned_id else "-")
    cells = [
        id_ if run.number == 1 else f"{id_} #{run.number}",
        words.clock(run.start_ns, now_ns),
        filters.outcome(run),
        "" if took_ns is None else words.duration(took_ns),
        run.operation or "",
        words.asked(run.provider, run.model),
        _story(run, now_ns),
    ]
    return [visible(cell).replace("\n", SIGN).replace("\t", SIGN) for cell in cells]


def _story(run: Run, now_ns: int) -> str:
    """The longest state; what it is in now; for a request without a run, how it was answered."""
    if run.id is None:
        if run.returned_id:
            return words.joined(("was", run.returned_status), " ") if run.returned_status else ""
        return f"HTTP {run.http_status}" if run.http_status else ""
    if run.state is not None:
        return f"{_short(run.state)}, {words.age(run.times.since_ns, now_ns)}"
    longest = words.shares(run.times.spent_ns)[:1]
    return words.joined(f"{_short(state)} {words.percent(share)}" for state, _, share in longest)


def _short(state: State) -> str:
    return _SHORT.get(state, state.value)
