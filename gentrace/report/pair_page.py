"""``compare A B --html``: two waterfalls on one time axis, and what makes the difference."""

from __future__ import annotations

from typing import Any

from gentrace.analysis.compare.pairs import PairComparison, PathRow
from gentrace.analysis.story import BETWEEN, Story
from gentrace.report import pair, words
from gentrace.report.asked import Asked
from gentrace.report.links import Links
from gentrace.report.page import percent, render
from gentrace.report.panel import Panel, legend
from gentrace.report.rows import cut

_TICKS = 4
_LONGEST_PATH = 400
_SHOWN_PATHS, _SHOWN_ATTRIBUTES, MOST_ROWS = 20, 25, 1_000


def page(found: PairComparison, links: Links | None = None, asked: Asked | None = None) -> str:
    """The page's HTML; with ``asked``, what it answers."""
    stories = {"A": found.a, "B": found.b}
    axis_ns = max(1, found.a.total_ns, found.b.total_ns)
    sides = [_side(letter, one, found, axis_ns, links) for letter, one in stories.items()]
    rows = [row for row in found.by_path if row.a_ns or row.b_ns or row.n_a != row.n_b]
    widest = max((abs(row.difference_ns) for row in rows), default=0)
    told = [_path(row, widest) for row in rows[:MOST_ROWS]]
    return render(
        "pair.html",
        {
            "asked": asked,
            "title": f"{pair.title(found.a)} and {pair.title(found.b)}",
            "headline": pair.headline(found),
            "difference_ns": found.difference_ns,
            "sides": sides,
            "states": legend([found.a, found.b]),
            "times": [
                (state.value, a_ns, b_ns, b_ns - a_ns)
                for state, (a_ns, b_ns) in found.by_time.items()
                if a_ns or b_ns
            ],
            "divergence": found.divergence,
            "no_divergence": pair.NO_DIVERGENCE.capitalize(),
            "divergence_words": pair.divergence_words(found.divergence) if found.divergence else "",
            "ticks": _ticks(axis_ns),
            "paths": told[:_SHOWN_PATHS],
            "more_paths": told[_SHOWN_PATHS:],
            "paths_left_out": len(rows) - len(told),
            "attributes": found.attributes[:_SHOWN_ATTRIBUTES],
            "more_attributes": found.attributes[_SHOWN_ATTRIBUTES:MOST_ROWS],
            "value": pair.value,
            "cut": cut,
            "by_states": found.by_states,
            "notes": found.notes,
        },
    )


def _side(
    letter: str, one: Story, found: PairComparison, axis_ns: int, links: Links | None
) -> dict[str, Any]:
    parted = found.divergence
    marked = "" if parted is None else parted.span_a if letter == "A" else parted.span_b
    at_ns = None if parted is None else parted.at_a_ns if letter == "A" else parted.at_b_ns
    panel = Panel(one, axis_ns, letter, marked)
    run = one.run
    spent = [(state.value, ns) for state, ns in run.times.spent_ns.items() if ns]
    return {
        "letter": letter,
        "name": pair.title(one),
        "outcome": run.outcome or "unfinished",
        "total_ns": one.total_ns,
        "start_ns": one.start_ns,
        "asked": words.joined((run.operation, words.asked(run.provider, run.model))),
        "account": run.account,
        "error": words.error(run.error_code, run.error_type),
        "trace_id": run.trace_id,
        "link": links.trace(run.trace_id) if links else None,
        "stack": [(state, percent(ns, axis_ns), ns) for state, ns in spent],
        "strip": panel.strip(),
        "tokens": list(panel.tokens()),
        "ticks": _ticks(one.total_ns),
        "zoom": round(axis_ns / max(1, one.total_ns), 3),
        "bare": one.bare,
        "marked": marked,
        "mark": None if at_ns is None else percent(at_ns, axis_ns),
    }


def _ticks(axis_ns: int) -> list[tuple[float, str]]:
    return [(100 * n / _TICKS, words.duration(axis_ns * n // _TICKS)) for n in range(_TICKS + 1)]


def _path(row: PathRow, widest: int) -> dict[str, Any]:
    above, _, name = row.path.rpartition(BETWEEN)
    return {
        "name": cut(name),
        "above": cut(above, _LONGEST_PATH),
        "row": row,
        "size": percent(abs(row.difference_ns), widest) / 2,
    }
