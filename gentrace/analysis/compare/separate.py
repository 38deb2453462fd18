"""What separates two groups: attributes of which each group has values of its own.

Runs are compared within their kind. Where the kind itself is what the groups differ in, no kind has
runs of both, and it is left out of what they are compared within: the difference is theirs, and the
attribute is told with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gentrace.analysis.compare import candidates
from gentrace.analysis.compare.scores import LEAST
from gentrace.analysis.compare.strata import kinds
from gentrace.analysis.compare.table import KIND, Bools, Column, Ints, Table

_CARRIED = 0.95
"""Of a group's runs: as many carry a value, and as many in both groups are told apart by it."""
_NO_CHANCE = 12
"""Runs beyond one of each value: groups told apart by fewer may be so by chance."""
_NAMED = 3


@dataclass(frozen=True)
class Separator:
    """An attribute with values of their own on either side.

    Attributes:
        values: the first group's, the most frequent first.
        wholly: no run of either group carries a value of the other's.
    """

    name: str
    values: tuple[str, ...]
    wholly: bool


def separators(runs: Table, a: Bools, b: Bools) -> list[Separator]:
    """The attributes that separate the groups, in the order in which causes are named."""
    found: list[Separator] = []
    if a.sum() < LEAST or b.sum() < LEAST:
        return found
    for name, column in candidates.columns(runs, candidates.causes(runs, kind_too=True)):
        if not isinstance(column, Column):
            continue
        ours, theirs = (_counts(column, side) for side in (a, b))
        carried = ours.sum() >= _CARRIED * a.sum() and theirs.sum() >= _CARRIED * b.sum()
        total, values = int((ours + theirs).sum()), int(((ours + theirs) > 0).sum())
        wrong = int(np.minimum(ours, theirs).sum())
        mine = np.flatnonzero(ours > theirs)
        apart = (theirs > ours).any() and wrong <= (1 - _CARRIED) * total
        if carried and apart and len(mine) and total - values >= _NO_CHANCE:
            order = mine[np.argsort(-ours[mine], kind="stable")]
            words = tuple(column.words[int(code)] for code in order)
            found.append(Separator(name, words, wrong == 0))
    return found


def told(found: Sequence[Separator]) -> tuple[str, ...]:
    """``name=value`` of what the first group's runs carry and the second's do not."""
    return tuple(f"{each.name}={_either(each.values)}" for each in found)


def of_kind(found: Sequence[Separator]) -> list[Separator]:
    """Those that are a part of the kind, so that no kind has runs of both groups."""
    return [each for each in found if each.wholly and each.name in KIND]


def strata(runs: Table, found: Sequence[Separator]) -> Ints:
    """Each run's kind, by what does not itself separate the groups."""
    left_out = {each.name for each in of_kind(found)}
    return kinds(runs, tuple(name for name in KIND if name not in left_out))


def _either(values: Sequence[str]) -> str:
    """``v5``, ``v5 or v4``, ``v5 or v4 or v3 or 7 others``."""
    named, more = list(values[:_NAMED]), len(values) - _NAMED
    if more > 0:
        named.append("1 other" if more == 1 else f"{more} others")
    return " or ".join(named)


def _counts(column: Column, side: Bools) -> Ints:
    codes = column.codes[side]
    return np.bincount(codes[codes >= 0], minlength=len(column.words)).astype(np.int64)
