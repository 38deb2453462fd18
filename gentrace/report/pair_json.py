"""``compare A B`` for programs: one object, differences B minus A, seconds."""

from __future__ import annotations

from typing import Any

from gentrace.analysis.compare.divergence import Divergence
from gentrace.analysis.compare.pairs import PairComparison, PathRow
from gentrace.analysis.story import Story
from gentrace.report import json
from gentrace.report.links import Links


def as_object(found: PairComparison, links: Links | None = None) -> dict[str, Any]:
    """The answer."""
    return {
        "a": _side(found.a, links),
        "b": _side(found.b, links),
        "difference_s": json.seconds(found.difference_ns),
        "by_time": {
            f"{state}_s": json.seconds(b_ns - a_ns) for state, (a_ns, b_ns) in found.by_time.items()
        },
        "by_path": [_path(row) for row in found.by_path],
        "first_divergence": _divergence(found.divergence),
        "attributes": [
            {"name": each.name, "path": each.path, "a": each.a, "b": each.b}
            for each in found.attributes
        ],
        "critical_path": {"a": _steps(found.a), "b": _steps(found.b)},
        "notes": list(found.notes),
    }


def _side(one: Story, links: Links | None) -> dict[str, Any]:
    linked = {"link": links.trace(one.run.trace_id)} if links else {}
    counted = {"counted_s": json.seconds(one.total_ns), "incomplete": one.incomplete}
    return {**json.row(one.run), **counted, **linked}


def _path(row: PathRow) -> dict[str, Any]:
    return {
        "path": row.path,
        "a_s": json.seconds(row.a_ns),
        "b_s": json.seconds(row.b_ns),
        "difference_s": json.seconds(row.difference_ns),
        "n_a": row.n_a,
        "n_b": row.n_b,
        "failed_a": row.failed_a,
        "failed_b": row.failed_b,
    }


def _divergence(found: Divergence | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "kind": found.kind,
        "path": found.path,
        "at_a_s": None if found.at_a_ns is None else json.seconds(found.at_a_ns),
        "at_b_s": None if found.at_b_ns is None else json.seconds(found.at_b_ns),
        "a": found.a,
        "b": found.b,
        "span_a": found.span_a or None,
        "span_b": found.span_b or None,
    }


def _steps(one: Story) -> list[dict[str, Any]]:
    return [
        {
            "path": step.path,
            "at_s": json.seconds(step.start_ns - one.start_ns),
            "took_s": json.seconds(step.took_ns),
            "span_id": step.span.span_id if step.span else None,
        }
        for step in one.steps
    ]
