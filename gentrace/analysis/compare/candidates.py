"""What may be a cause: attribute values, and stretches of the window in which a time went up.

Which attributes may be one is told by :mod:`gentrace.analysis.compare.roles`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gentrace.analysis.compare import chances, drift, effects, roles, scores
from gentrace.analysis.compare.roles import Role
from gentrace.analysis.compare.scores import LEAST, Scored
from gentrace.analysis.compare.strata import centres
from gentrace.analysis.compare.table import KIND, Bools, Column, Floats, Ints, Table, Tags

_WINDOW_PARTS = (2, 3, 5, 8, 12, 20, 30)


@dataclass(frozen=True)
class Candidate:
    """An attribute value, or a stretch of time; ``log_p`` is one-sided and not corrected.

    Attributes:
        time: set where it is that one of the times alone that told of an attribute value.
        untold: runs that go on and lack the attribute, as it stands on run spans alone: whether
            they have the value is not known. None where there are none.
    """

    kind: str
    name: str
    value: str | None
    mask: Bools
    log_p: float
    z: float
    window: tuple[int, int] | None = None
    time: str | None = None
    untold: Bools | None = None

    @property
    def parts(self) -> Ints:
        """The runs apart by it: 1 has the value, 0 has it not, 2 does not tell."""
        found = self.mask.astype(np.int64)
        return found if self.untold is None else np.where(self.untold, 2, found)


def untold(runs: Table, column: Column | Tags) -> Bools | None:
    """The runs that go on and do not tell the attribute, if there are any."""
    if isinstance(column, Tags):
        told = np.zeros(len(runs), dtype=bool)
        told[column.rows] = True
    else:
        told = column.codes >= 0
    found = ~runs.ended & ~told
    return found if found.any() else None


def causes(runs: Table, kind_too: bool = False) -> list[str]:
    """Attributes that may be causes, in the order in which they are named."""
    found = roles.having(runs, Role.CAUSE)
    return found if kind_too else [name for name in found if name not in KIND]


def symptoms(runs: Table) -> list[str]:
    """Attributes that say what became of a run."""
    return roles.having(runs, Role.SYMPTOM)


def columns(runs: Table, asked: Iterable[str]) -> Iterator[tuple[str, Column | Tags]]:
    """Name and column of each, those of a single word left out."""
    for name in asked:
        column = runs.tags.get(name) or runs.columns.get(name)
        if column is not None and len(column.words) > 1 - (name in runs.tags):
            yield name, column


def same_runs(a: Bools, b: Bools) -> bool:
    """Whether nearly the same runs carry both, so that data cannot tell them apart."""
    return bool((a & b).sum() >= 0.95 * (a | b).sum())


def by_time(runs: Table, strata: Ints, asked: Iterable[str]) -> Iterator[Candidate]:
    """Values with which a time is longer, by more than a run's duration makes little of.

    Each of the times by itself, and all of them together: where everything takes longer and one of
    the times has a heavy tail, neither the whole nor any one time may be sure of it.

    Only where it is longer for most of the runs: what befalls a few shows in the whole duration.
    The chance is that of the best of the times, taken twice: half a hypothesis for each value.
    """
    asked = list(asked)
    known = np.flatnonzero(runs.ended)
    here, within = runs.chosen(runs.ended), strata[known]
    usual = effects.MATTERS * float(np.median(here.seconds)) if len(here) else 0.0
    times = {time: spent for time, spent in here.times.items() if spent.any()}
    ended = np.ones(len(here), dtype=bool)
    slow = {time: scores.slowness(spent, ended, within) for time, spent in times.items()}
    tried: list[tuple[str | None, Floats, Floats]] = [(t, times[t], slow[t]) for t in times]
    if len(times) > 1:
        tried.append((None, here.seconds, np.sum([*slow.values()], axis=0)))
    for time, spent, slowness in tried:
        ranks = scores.scored(slowness, within)
        most = float(ranks.scores.max())
        for name, column in columns(here, asked):
            tested = scores.words(ranks, column)
            for code in np.flatnonzero(tested.enough & (tested.z > 3)).tolist():
                mask = runs.holds(name, column.words[code])
                inside = mask[known]
                z, total = float(tested.z[code]), float(ranks.scores[inside].sum())
                log_p = chances.log_sum_tail(total, (total / z) ** 2, most)
                log_p += float(np.log(2 * len(tried)))
                effect = np.median((spent - centres(spent, within, ~inside))[inside])
                which = time or effects.moved(runs, mask, ~mask, strata)
                if effect >= usual and which is not None:
                    word, lacking = column.words[code], untold(runs, runs.held(name))
                    yield Candidate(
                        "attribute", name, word, mask, log_p, z, time=which, untold=lacking
                    )


def window(
    runs: Table, strata: Ints, slow: Scored, asked: Iterable[str]
) -> tuple[Candidate | None, int]:
    """The stretch in which one of the times went up the most, and how many times were looked at.

    Its chance is that of the best of a time's stretches, so that a time counts as one hypothesis.

    The runs are in the order of their start. A stretch counts only where the runs as a whole are
    slower in it, too.
    """
    known = np.flatnonzero(runs.ended)
    best: Candidate | None = None
    looked = 0
    if len(known) < 4 * LEAST:
        return None, 0
    whole = np.ones(len(known), dtype=bool)
    for time in asked:
        spent = runs.times[time]
        if not spent.any():
            continue
        there = scores.scored(scores.slowness(spent[known], whole, strata[known]), strata[known])
        spread = there.spread[there.strata]
        # Its edges are where the runs as a whole get slower, too, and not the time alone
        low, high, _, n = _highest(there.scores + slow.scores[known], spread)
        looked += 1
        stretch = np.arange(low, high)
        total, variance = float(there.scores[stretch].sum()), float(spread[stretch].sum())
        variance *= 1 - len(stretch) / len(known)
        z = total / np.sqrt(max(variance, 1e-12))
        chance = chances.log_sum_tail(total, variance, float(there.scores.max()))
        chance += float(np.log(max(n, 1)))
        if z <= 0 or (best is not None and chance >= best.log_p):
            continue
        mask = np.zeros(len(runs), dtype=bool)
        mask[known[low] : known[high - 1] + 1] = True
        if scores.groups(slow, [mask]).z[0] < 3:
            continue
        if not drift.stands_out(runs, time, mask, ~mask, strata):
            continue
        inside, outside = mask & runs.ended, ~mask & runs.ended
        # Whatever else is longer then, the time itself has to be by more than nothing
        if not effects.matters(effects.longer_s(spent, inside, outside, strata), runs, ~mask):
            continue
        starts = (int(runs.start_ns[known[low]]), int(runs.start_ns[known[high - 1]]))
        best = Candidate("time", time, None, mask, chance, z, starts)
    return best, looked


def _highest(given: Floats, spread: Floats) -> tuple[int, int, float, int]:
    """First, end and z of the stretch whose scores add up to the most, and how many were tried."""
    n = len(given)
    sums, spreads = (np.concatenate(([0.0], np.cumsum(each))) for each in (given, spread))

    def z_of(low: Ints, high: Ints) -> Floats:
        variance = (spreads[high] - spreads[low]) * (1 - (high - low) / n)
        return (sums[high] - sums[low]) / np.sqrt(np.maximum(variance, 1e-12))

    best, tried = (0, 0, 0.0), 0
    for part in _WINDOW_PARTS:
        size = n // part
        if size < LEAST:
            continue
        lows = np.arange(0, n - size + 1, max(1, size // 4))
        found = z_of(lows, lows + size)
        tried += len(found)
        at = int(np.argmax(found))
        if found[at] > best[2]:
            best = (int(lows[at]), int(lows[at]) + size, float(found[at]))
    if best[2] <= 0:
        return 0, 0, 0.0, tried
    room = (best[1] - best[0]) // 3  # its true edges lie somewhere near
    steps = np.unique(np.linspace(-room, room, 41).astype(int))
    lows, highs = (g.ravel() for g in np.meshgrid(best[0] + steps, best[1] + steps))
    fits = (lows >= 0) & (highs <= n) & (highs - lows >= LEAST)
    lows, highs = lows[fits], highs[fits]
    found = z_of(lows, highs)
    at = int(np.argmax(found))
    return int(lows[at]), int(highs[at]), float(found[at]), tried + 3 * len(_WINDOW_PARTS)


def burst(runs: Table, hits: Bools, strata: Ints) -> tuple[Candidate | None, int]:
    """The stretch in which hits are the most frequent for their strata, by Poisson's tail.

    Hits are few, so that a normal approximation would make much of three that come together.
    """
    n = len(runs)
    if n < 4 * LEAST:
        return None, 0
    _, codes = np.unique(strata, return_inverse=True)
    rates = np.bincount(codes, hits) / np.bincount(codes)
    seen, expected = (np.concatenate(([0.0], np.cumsum(v))) for v in (hits, rates[codes]))
    spans = [np.stack([lows, lows + n // part])
             for part in _WINDOW_PARTS if n // part >= LEAST
             for lows in [np.arange(0, n - n // part + 1, max(1, n // part // 4))]]  # fmt: skip
    lows, highs = np.concatenate(spans, axis=1)
    log_p = chances.log_poisson_tail(seen[highs] - seen[lows], expected[highs] - expected[lows])
    at = int(np.argmin(log_p))
    inside = np.flatnonzero(hits[lows[at] : highs[at]])
    if len(inside) < 2:
        return None, 1
    low, high = int(lows[at] + inside[0]), int(lows[at] + inside[-1])
    mask = np.zeros(n, dtype=bool)
    mask[low : high + 1] = True
    z = float(np.sqrt(max(0.0, -2 * log_p[at])))  # near enough to set it beside others
    starts = (int(runs.start_ns[low]), int(runs.start_ns[high]))
    found = Candidate("error", "", None, mask, float(log_p[at] + np.log(len(lows))), z, starts)
    return found, 1
