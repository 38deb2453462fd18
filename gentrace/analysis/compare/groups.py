"""Any two groups of runs: who or what differs between them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from gentrace.analysis.compare import outcomes, separate, shift, strata, summary
from gentrace.analysis.compare.model import Finding, GroupComparison
from gentrace.analysis.compare.scores import LEAST
from gentrace.analysis.compare.table import Bools, Table


def groups(
    runs: Table, a: Bools, b: Bools, labels: tuple[str, str], named: Collection[str] = ()
) -> GroupComparison:
    """The first group beside the second; runs that are in both count in neither.

    Args:
        named: the attributes by which the groups were chosen.
    """
    both = a & b
    a, b = a & ~both, b & ~both
    sides = {"a": summary.group(labels[0], runs, a), "b": summary.group(labels[1], runs, b)}
    short = [
        f"{labels[number]}: {summary.counted(side.n, 'run')}, {LEAST} are needed"
        for number, side in enumerate(sides.values())
        if side.n < LEAST
    ]
    findings: list[Finding] = []
    tested = 0
    if not short:
        findings, tested = _findings(runs, a, b, labels[0], named)
    if not short and not findings:
        short = _nothing_alike(runs, a, b)
        tested = 0 if short else tested
    left_out = int(both.sum())
    were = "is in both groups and was" if left_out == 1 else "are in both groups and were"
    notes = [f"{summary.counted(left_out, 'run')} {were} left out"] if left_out else []
    return GroupComparison(
        question="groups",
        groups=sides,
        findings=findings,
        times=summary.times(sides["a"], sides["b"]),
        not_enough_data=short,
        notes=notes,
        tested=tested,
    )


def _findings(
    runs: Table, a: Bools, b: Bools, label: str, named: Collection[str]
) -> tuple[list[Finding], int]:
    """What the groups differ in: what takes longer, what fails; and how much was tested."""
    apart = separate.separators(runs, a, b)
    by_outcome = not outcomes.BY_OUTCOME.isdisjoint(named)
    chosen = by_outcome or any(each.name in named for each in apart)
    tested = shift.tests(runs, a, b, apart if chosen else ())
    if by_outcome:
        carried, tested = outcomes.carried(runs, a, b, tested)
        moved = shift.shift(runs, a, b, tested, separators=apart, named=True)
        known = {(each.name, each.value) for each in carried}
        told = [f for f in moved if f.kind != "mix" and (f.name, f.value) not in known]
        return [*carried, *(replace(f, also=(label, *f.also)) for f in told)], tested
    asked = outcomes.asked(runs, a, b)
    tested += len(asked)
    failing = outcomes.rates(
        runs, a, b, separate.strata(runs, apart), asked, tested, separate.told(apart)
    )
    moved = shift.shift(runs, a, b, tested, separators=apart, named=chosen)
    if failing and moved and failing[0].p_adjusted < moved[0].p_adjusted:
        return [*failing, *moved], tested
    return [*moved, *failing], tested


def _nothing_alike(runs: Table, a: Bools, b: Bools) -> list[str]:
    """Says so where too few runs are of a kind that both groups have."""
    within = separate.strata(runs, separate.separators(runs, a, b))
    alike = [int(side.sum()) for side in strata.comparable(a, b, within)]
    if min(alike) >= LEAST:
        return []
    return [
        f"{alike[0]} and {alike[1]} runs are of a kind (operation, provider, model) that both "
        f"groups have; {LEAST} a side are needed"
    ]
