"""By how much whole durations differ, some of which are only known to be longer; and in what.

A run that goes on counts by its age, which is a lower bound. The median is Kaplan and Meier's where
that is reached. Where it is not, it is that of durations and ages, and the difference is a lower
bound, too.
"""

from __future__ import annotations

import numpy as np

from gentrace.analysis.compare import effects, scores
from gentrace.analysis.compare.effects import Interval
from gentrace.analysis.compare.strata import centres
from gentrace.analysis.compare.table import Bools, Floats, Ints, Table

DURATION = "duration"
"""Named in place of one of the times where the whole differs and its times are not known."""
_RESAMPLED, _RESAMPLES = 1_000, 399


def difference(
    runs: Table, inside: Bools, outside: Bools, strata: Ints
) -> tuple[float, Interval, bool]:
    """The difference of medians within strata, its interval, and whether it is a lower bound."""
    if runs.ended[inside | outside].all():
        return *effects.median_difference(runs.seconds, inside, outside, strata), False
    beside = runs.seconds - centres(runs.seconds, strata, outside)
    sides = [(beside[side], runs.ended[side]) for side in (inside, outside)]
    medians = [scores.quantile(values, ended, 0.5) for values, ended in sides]
    a, b = medians
    if a is not None and b is not None:
        first, second = (_medians(*side) for side in sides)
        low, high = np.quantile(first - second, (0.025, 0.975))
        return a - b, (min(float(low), a - b), max(float(high), a - b)), False
    plain, interval = effects.median_difference(runs.seconds, inside, outside, strata)
    return plain, interval, medians[0 if plain > 0 else 1] is None


def lies_in(runs: Table, inside: Bools, outside: Bools, strata: Ints, effect: float) -> str:
    """The time in which most of the difference lies, or ``duration`` where no time tells.

    That is where there are none, and where it comes from runs that have not ended.
    """
    moved = effects.moved(runs, inside, outside, strata)
    if moved is not None:
        return moved
    a, b = inside & runs.ended, outside & runs.ended
    if not a.any() or not b.any():
        return DURATION
    finished, _ = effects.median_difference(runs.seconds, a, b, strata)
    if finished * effect <= 0 or abs(finished) < abs(effect) / 2:
        return DURATION
    by_time: dict[str, float] = {}
    for time, spent in runs.times.items():
        if spent.any():
            beside = spent - centres(spent, strata, b)
            by_time[time] = (effects.trimmed(beside[a]) - effects.trimmed(beside[b])) * effect
    largest = max(by_time, key=lambda time: by_time[time], default=DURATION)
    return largest if by_time.get(largest, 0.0) > 0 else DURATION


def _medians(values: Floats, ended: Bools) -> Floats:
    """Kaplan-Meier medians of resamples; the same for the same data."""
    order = np.lexsort((~ended, values))
    if len(order) > _RESAMPLED:
        order = order[np.linspace(0, len(order) - 1, _RESAMPLED).astype(int)]
    values, ended = values[order], ended[order]
    n = len(values)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=_RESAMPLES)
    at_risk = np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1]
    longer = np.cumprod(1 - drawn * ended / np.maximum(at_risk, 1), axis=1)
    reached = longer <= 0.5 + 1e-12
    places = np.where(reached.any(axis=1), reached.argmax(axis=1), n - 1)
    return values[places]
