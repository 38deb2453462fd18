"""How much: differences of medians within kind and of shares, each with its 95 % interval."""

from __future__ import annotations

import numpy as np

from gentrace.analysis.compare import chances, scores
from gentrace.analysis.compare.chances import wilson
from gentrace.analysis.compare.model import Exemplar
from gentrace.analysis.compare.strata import centres
from gentrace.analysis.compare.strata import comparable as both_there
from gentrace.analysis.compare.table import Bools, Floats, Ints, Table

Interval = tuple[float, float]

MATTERS = 0.05
"""Of the usual duration; what moves less is no finding however sure it is."""
_RESAMPLED = 1_500
_EXEMPLARS = 5


def median_difference(
    values: Floats, inside: Bools, outside: Bools, strata: Ints
) -> tuple[float, Interval]:
    """By how much the one group's median lies above the other's, each run beside its stratum's."""
    beside = values - centres(values, strata, outside)
    a, b = beside[inside], beside[outside]
    effect = float(np.median(a) - np.median(b))
    low, high = chances.median_difference(_some(a), _some(b))
    return effect, (min(low, effect), max(high, effect))


def share_difference(
    hits: Bools, inside: Bools, outside: Bools, strata: Ints
) -> tuple[float, Interval]:
    """By how much hits are more frequent than in the others of the same strata (Newcombe).

    Only of strata that have others: the rest would count as though nothing were usual there.
    """
    inside, _ = comparable(inside, outside, strata)
    n_in = int(inside.sum())
    rate = float(hits[inside].mean())
    expected, others = 0.0, 0
    for stratum in np.unique(strata[inside]):
        rows = strata == stratum
        there = rows & outside
        weight = int((rows & inside).sum())
        expected += float(hits[there].mean()) * weight / n_in if there.any() else 0.0
        others += int(there.sum())
    (low_in, high_in), (low_out, high_out) = wilson(rate, n_in), wilson(expected, max(others, 1))
    effect = rate - expected
    below = float(np.hypot(rate - low_in, high_out - expected))
    above = float(np.hypot(high_in - rate, expected - low_out))
    return effect, (max(-1.0, effect - below), min(1.0, effect + above))


def comparable(inside: Bools, outside: Bools, strata: Ints) -> tuple[Bools, Bools]:
    """As :func:`strata.comparable`; the groups as they are where no stratum has runs of both."""
    ours, others = both_there(inside, outside, strata)
    return (ours, others) if ours.any() else (inside, outside)


def moved(runs: Table, inside: Bools, outside: Bools, strata: Ints) -> str | None:
    """Which of the times is longer in the one group: the largest that chance does not explain."""
    known = runs.ended & (inside | outside)
    best, found = 0.0, None
    for name, spent in runs.times.items():
        if not spent.any():
            continue
        there = scores.slowness(spent[known], np.ones(int(known.sum()), dtype=bool), strata[known])
        tested = scores.groups(scores.scored(there, strata[known]), [inside[known]])
        if tested.inside[0] == 0 or chances.two_sided(float(tested.z[0])) * len(runs.times) > 0.05:
            continue
        moved_s = longer_s(spent, inside & known, outside & known, strata)
        if abs(moved_s) > abs(best):
            best, found = moved_s, name
    return found


def longer_s(spent: Floats, inside: Bools, outside: Bools, strata: Ints) -> float:
    """By how much one of the times is longer in the one group.

    A wait that only some runs have moves no median; a mean without its tail it does.
    """
    beside = spent - centres(spent, strata, outside)
    a, b = beside[inside], beside[outside]
    return max((float(np.median(a) - np.median(b)), trimmed(a) - trimmed(b)), key=abs)


def matters(effect: float, runs: Table, outside: Bools) -> bool:
    """Whether so many seconds are anything beside what a run usually takes."""
    return abs(effect) >= MATTERS * float(np.median(runs.seconds[outside]))


def exemplars(runs: Table, inside: Bools, order: Floats) -> tuple[Exemplar, ...]:
    """A few of the group's runs, those with the highest ``order`` first."""
    rows = np.flatnonzero(inside)
    chosen = rows[np.argsort(-order[rows], kind="stable")][:_EXEMPLARS]
    return tuple(runs.exemplar(int(row)) for row in chosen)


def trimmed(values: Floats) -> float:
    """The mean without the tenth at either end: it sees a wait that only a part of the runs has."""
    cut = len(values) // 10
    return float(np.sort(values)[cut : len(values) - cut].mean())


def _some(values: Floats) -> Floats:
    """At most so many values, evenly over their order: the interval becomes wider, never wrong."""
    if len(values) <= _RESAMPLED:
        return values
    return np.sort(values)[np.linspace(0, len(values) - 1, _RESAMPLED).astype(int)]
