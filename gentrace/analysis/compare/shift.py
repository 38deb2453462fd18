"""What changed from one group to another: who got slower, which time did, or only the mix.

Each question is put within kind. Where the groups as a whole differ and nothing within the values
of an attribute does, it is the attribute's shares that changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gentrace.analysis.compare import candidates, drift, durations, effects, scores, separate
from gentrace.analysis.compare.chances import two_sided
from gentrace.analysis.compare.mix import changed, mixes
from gentrace.analysis.compare.model import Finding
from gentrace.analysis.compare.scores import ALPHA, LEAST, holm
from gentrace.analysis.compare.separate import Separator
from gentrace.analysis.compare.strata import combined, comparable, kinds
from gentrace.analysis.compare.table import Bools, Ints, Table

_MOST = 4


@dataclass(frozen=True)
class _Mover:
    """An attribute value that changed more than the others did."""

    name: str
    value: str
    mask: Bools
    z: float


def tests(runs: Table, a: Bools, b: Bools, separators: Sequence[Separator]) -> int:
    """How many hypotheses :func:`shift` tests: the whole, the times, the attributes twice."""
    both = runs.chosen(a | b)
    asked = [column for _, column in candidates.columns(both, candidates.causes(both, True))]
    strata = scores.scored(np.zeros(len(both)), separate.strata(both, separators))
    values = sum(int(scores.words(strata, column).enough.sum()) for column in asked)
    return 1 + len(runs.times) + values + len(asked)


def shift(
    runs: Table,
    a: Bools,
    b: Bools,
    tested: int,
    known: Sequence[Bools | Ints] = (),
    only_slower: bool = False,
    separators: Sequence[Separator] = (),
    named: bool = False,
) -> list[Finding]:
    """The findings between two groups of these runs, the strongest first.

    Args:
        tested: over how many hypotheses to correct.
        known: causes that were found otherwise, to be accounted for.
        only_slower: say nothing of what got faster.
        separators: attributes of which each group has values of its own.
        named: one of those makes the groups; else, where it is of the kind, it is a change of what
            was asked.
    """
    found: list[Finding] = []
    left = a | b
    within = separate.strata(runs, separators) if named else kinds(runs)
    strata = combined([within, *known], len(runs))
    # Who moved more than the others is asked of few runs a side: at half of the chance
    while len(found) < _MOST:
        mover = _mover(runs, a & left, b & left, strata, only_slower)
        p = 1.0 if mover is None else holm(two_sided(mover.z), tested, len(found))
        if mover is None or p > ALPHA / 2:
            break
        found.append(_of_mover(runs, a & left, b & left, strata, mover, p))
        left = left & ~mover.mask
    whole = _z(runs, a & left, b & left, strata)
    p = holm(two_sided(whole), tested, len(found))
    moved = p <= ALPHA and not (only_slower and whole < 0)
    if moved and not _of_shares(runs, a & left, b & left, strata, whole):
        told = _time(runs, a & left, b & left, strata, p, separate.told(separators))
        halves = only_slower and told.name in runs.times
        sides = a & left, b & left, strata
        if not halves or drift.stands_out(runs, told.name, *sides, sought=False):
            found.append(told)
    found = [each for each in found if effects.matters(each.effect, runs, b)]
    if found:  # something got slower (or faster) within the kinds: no mere change of the mix
        return found
    switched = [] if named else separate.of_kind(separators)
    if switched:
        return _switch(runs, a, b, tested, switched, separators, known)
    return mixes(runs, a, b, tested, 0, known)


def _switch(
    runs: Table,
    a: Bools,
    b: Bools,
    tested: int,
    switched: Sequence[Separator],
    separators: Sequence[Separator],
    known: Sequence[Bools | Ints],
) -> list[Finding]:
    """A mix that changed wholly: as a finding where that made a difference to durations."""
    strata = combined([separate.strata(runs, separators), *known], len(runs))
    p = holm(two_sided(_z(runs, a, b, strata)), tested)
    effect, *_ = durations.difference(runs, a, b, strata)
    if p > ALPHA or not effects.matters(effect, runs, b):
        return []
    others = [each for each in separators if each is not switched[0]]
    return [changed(runs, switched[0].name, switched[0].values[0], a, b, p, separate.told(others))]


def _z(runs: Table, a: Bools, b: Bools, strata: Ints) -> float:
    """How much slower the first group is within the strata."""
    rows = a | b
    ranks = scores.slowness(runs.seconds[rows], runs.ended[rows], strata[rows])
    tested = scores.groups(scores.scored(ranks, strata[rows]), [a[rows]])
    enough = tested.inside[0] >= LEAST and tested.outside[0] >= LEAST
    return float(tested.z[0]) if enough else 0.0


def _of_shares(runs: Table, a: Bools, b: Bools, strata: Ints, whole: float) -> bool:
    """Whether the groups no longer differ within the values of an attribute that both have.

    Args:
        whole: by how much they do as they are, as :func:`_z` has it.
    """
    rows = a | b
    here = runs.chosen(rows)
    for _, column in candidates.columns(here, candidates.causes(here)):
        if isinstance(column, candidates.Tags):
            continue
        within = np.zeros(len(runs), dtype=np.int64)
        within[rows] = column.codes + 1
        narrow = combined([strata, within], len(runs))
        ours, theirs = comparable(a, b, narrow)
        kept = float((ours | theirs)[rows].mean())
        if kept > 0.8 and abs(_z(runs, a, b, narrow)) < max(1.5, 0.35 * abs(whole)):
            return True
    return False


def _mover(runs: Table, a: Bools, b: Bools, strata: Ints, only_slower: bool) -> _Mover | None:
    """The value whose runs moved the most beside how the others of their kind moved."""
    rows = np.flatnonzero(a | b)
    here, in_a = runs.chosen(a | b), a[rows]
    ranks = scores.slowness(here.seconds, here.ended, strata[rows])
    sides = [(here.chosen(side), scores.scored(ranks[side], strata[rows][side]))
             for side in (in_a, ~in_a)]  # fmt: skip
    best: _Mover | None = None
    for name in candidates.causes(here):
        first, second = (
            scores.words(scored, side.tags.get(name) or side.columns[name])
            for side, scored in sides
        )
        column = here.tags.get(name) or here.columns[name]
        for code in np.flatnonzero(first.enough).tolist():
            there = bool(second.enough[code])
            gap = first.mean[code] - (second.mean[code] if there else 0.0)
            spread = first.spread[code] + (second.spread[code] if there else 0.0)
            z = float(gap / np.sqrt(spread)) if spread > 0 else 0.0
            if only_slower and z < 0:
                continue
            if best is None or abs(z) > abs(best.z):
                mask = np.zeros(len(runs), dtype=bool)
                mask[rows] = here.holds(name, column.words[code])
                if only_slower and _is_when(runs, mask, b, strata):
                    continue
                best = _Mover(name, column.words[code], mask, z)
    return best


def _is_when(runs: Table, mask: Bools, older: Bools, strata: Ints) -> bool:
    """Whether a value tells of halves of the window no more than when its runs were.

    One that was there for a while and in the older half already has not become slower by itself.
    """
    if (mask & older).sum() >= LEAST and drift.is_stretch(mask):
        return True
    return drift.drifts(runs, mask, strata)


def _of_mover(
    runs: Table, a: Bools, b: Bools, strata: Ints, mover: _Mover, p_adjusted: float
) -> Finding:
    """Beside the other group's runs of that value, or where it has none, of its kind."""
    inside, outside = a & mover.mask, b & mover.mask
    if outside.sum() < LEAST:
        outside = b
    return _finding("attribute", mover.name, mover.value, runs, inside, outside, strata, p_adjusted)


def _time(
    runs: Table, a: Bools, b: Bools, strata: Ints, p_adjusted: float, also: tuple[str, ...]
) -> Finding:
    effect, *_ = durations.difference(runs, a, b, strata)
    name = durations.lies_in(runs, a, b, strata, effect)
    return replace(_finding("time", name, None, runs, a, b, strata, p_adjusted), also=also)


def _finding(
    kind: str,
    name: str,
    value: str | None,
    runs: Table,
    inside: Bools,
    outside: Bools,
    strata: Ints,
    p_adjusted: float,
) -> Finding:
    effect, interval, at_least = durations.difference(runs, inside, outside, strata)
    time = name if kind == "time" else effects.moved(runs, inside, outside, strata)
    return Finding(
        kind=kind,
        name=name,
        value=value,
        time=None if time == durations.DURATION else time,
        effect=effect,
        interval=interval,
        p_adjusted=p_adjusted,
        exemplars=effects.exemplars(runs, inside, runs.seconds if effect > 0 else -runs.seconds),
        n=int(inside.sum()),
        at_least=at_least,
    )
