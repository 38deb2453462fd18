"""Any two groups of runs: who or what differs between them."""

from __future__ import annotations

from gentrace.analysis.compare import shift, summary
from gentrace.analysis.compare.model import GroupComparison
from gentrace.analysis.compare.scores import LEAST
from gentrace.analysis.compare.table import Bools, Table


def groups(runs: Table, a: Bools, b: Bools, labels: tuple[str, str]) -> GroupComparison:
    """The first group beside the second; runs that are in both count in neither."""
    both = a & b
    a, b = a & ~both, b & ~both
    sides = {"a": summary.group(labels[0], runs, a), "b": summary.group(labels[1], runs, b)}
    short = [
        f"{labels[number]}: {side.n} runs, {LEAST} are needed"
        for number, side in enumerate(sides.values())
        if side.n < LEAST
    ]
    tested = 0 if short else shift.tests(runs, a, b)
    notes = [f"{int(both.sum())} runs are in both groups and were left out"] if both.any() else []
    return GroupComparison(
        question="groups",
        groups=sides,
        findings=[] if short else shift.shift(runs, a, b, tested),
        times=summary.times(sides["a"], sides["b"]),
        not_enough_data=short,
        notes=notes,
        tested=tested,
    )
