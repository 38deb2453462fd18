"""The three group questions, put to a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gentrace.analysis import filters
from gentrace.analysis.compare import failing, groups, read, slow
from gentrace.analysis.compare.model import GroupComparison
from gentrace.analysis.compare.table import Bools, Table
from gentrace.core import names
from gentrace.sources.base import ALWAYS, Source, Window


@dataclass(frozen=True, slots=True)
class Side:
    """One group: runs with all of these attributes that started in the window."""

    where: Sequence[tuple[str, str]] = ()
    window: Window = ALWAYS
    label: str = ""

    def same_as(self, other: Side) -> bool:
        """Whether both ask for the same, in whatever order and words."""
        asked, others = ({(filters.SHORT.get(n, n), v) for n, v in s.where} for s in (self, other))
        return (asked, self.window) == (others, other.window)

    def of(self, runs: Table) -> Bools:
        """Which runs it holds."""
        found = runs.start_ns >= self.window.since_ns
        if self.window.until_ns:
            found &= runs.start_ns <= self.window.until_ns
        for name, value in self.where:
            found &= holds(runs, name, value)
        return found


def holds(runs: Table, name: str, value: str) -> Bools:
    """Which runs have the attribute, by its name or a short one; ``outcome=unfinished`` too."""
    name = filters.SHORT.get(name, name)
    if name == names.OUTCOME and value == "unfinished":
        return ~runs.ended
    if name == names.ERROR_CODE and value and names.ERROR_TYPE in runs.columns:
        return runs.holds(name, value) | runs.holds(names.ERROR_TYPE, value)
    return runs.holds(name, value)


def slow_ones(source: Source, among: Side) -> GroupComparison:
    """The slow for their kind beside the rest, and the newer half beside the older."""
    found = read.read(source, among.window)
    return _with(slow.slow(found.table.chosen(among.of(found.table))), found, among)


def failing_ones(
    source: Source, among: Side, new_since: str | int | None = None
) -> GroupComparison:
    """The failures beside successes of their kind.

    Args:
        new_since: a moment (Unix ns) or a version: which fingerprints were not there before.
    """
    found = read.read(source, among.window)
    told = failing.failing(found.table.chosen(among.of(found.table)), new_since)
    if isinstance(new_since, str):
        version = Side(((names.CODE_VERSION, new_since),))
        return _with(told, found, among, version)
    return _with(told, found, among)


def two_groups(source: Source, a: Side, b: Side, among: Side) -> GroupComparison:
    """Any two groups; a second one without conditions is all that is not in the first."""
    found = read.read(source, among.window)
    runs = found.table.chosen(among.of(found.table))
    first = a.of(runs)
    plain = not b.where and b.window == ALWAYS
    second = ~first if plain else b.of(runs)
    labels = a.label or "the first group", b.label or "all others"
    named = {filters.SHORT.get(name, name) for side in (a, b) for name, _ in side.where}
    told = groups.groups(runs, first, np.asarray(second), labels, named)
    return _with(told, found, among, a, b)


def _with(answer: GroupComparison, found: read.Runs, *sides: Side) -> GroupComparison:
    truncated = ["the source held more than it gave"] if found.truncated else []
    asked = dict.fromkeys(each for side in sides for each in side.where)
    unheard = [_unheard(found.table, *each) for each in asked]
    if not len(found.table):
        unheard = ["no run started in that time" if found.windowed else "no run is there"]
    notes = [*answer.notes, *filter(None, unheard), *found.notes, *truncated]
    return replace(answer, notes=notes, truncated=found.truncated)


def _unheard(runs: Table, name: str, value: str) -> str:
    """What to say of a condition that no run fulfils; empty where one does."""
    if not len(runs) or holds(runs, name, value).any():
        return ""
    whole = filters.SHORT.get(name, name)
    if whole in read.OWN:
        return f"{name} is another for each run, and makes no group"
    if name in filters.SHORT or whole in names.ATTRIBUTES or whole in runs.columns:
        return f"no run has {name}={value}"
    unknown = filters.unknown(name, [*filters.SHORT, *runs.columns])
    return f"{unknown} (of a run, groups know what its run span says; `list --where` knows all)"
