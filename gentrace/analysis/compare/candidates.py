"""What may be a cause: attribute values, and stretches of the window in which a time went up.

An attribute that says what became of a run (how often it was tried, why it waited) follows from
causes more often than it is one. It is asked last, once the causes are accounted for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gentrace.analysis.compare import chances, scores
from gentrace.analysis.compare.scores import LEAST, Scored
from gentrace.analysis.compare.table import KIND, Bools, Column, Floats, Ints, Table, Tags
from gentrace.core import names

CONSEQUENCES = (
    names.WAIT_REASON, names.REQUEUES, names.ATTEMPTS, names.TRIES,
)  # fmt: skip
NEVER = frozenset(
    {
        names.OUTCOME, names.ERROR_CODE, names.ERROR_TYPE, names.STAGE, names.POLLS,
        names.LATE_EVENTS, names.INCOMPLETE, names.SCRUBBED, names.LINKS,
    }
)  # fmt: skip
"""They say what happened, and not to whom: a comparison by them would explain a thing by itself."""
_PREFERRED = (names.ACCOUNT_ID, names.CODE_VERSION, names.USER_ID)
"""Of attributes that the same runs carry, the first is named."""
_WINDOW_PARTS = (2, 3, 5, 8, 12, 20, 30)


@dataclass(frozen=True)
class Candidate:
    """An attribute value, or a stretch of time; ``log_p`` is one-sided and not corrected."""

    kind: str
    name: str
    value: str | None
    mask: Bools
    log_p: float
    z: float
    window: tuple[int, int] | None = None


def causes(runs: Table, kind_too: bool = False) -> list[str]:
    """Attributes that may be causes, in the order in which they are named."""
    held = {*runs.columns, *runs.tags} - NEVER - {*CONSEQUENCES}
    held -= set() if kind_too else {*KIND}
    known = [name for name in (*KIND, *_PREFERRED) if name in held]
    return [*known, *sorted(held - {*known} - {*runs.tags}), *sorted(held & {*runs.tags})]


def consequences(runs: Table) -> list[str]:
    """Attributes that say what became of a run."""
    return [name for name in CONSEQUENCES if name in runs.columns]


def columns(runs: Table, asked: Iterable[str]) -> Iterator[tuple[str, Column | Tags]]:
    """Name and column of each, those of a single word left out."""
    for name in asked:
        column = runs.tags.get(name) or runs.columns.get(name)
        if column is not None and len(column.words) > 1 - (name in runs.tags):
            yield name, column


def same_runs(a: Bools, b: Bools) -> bool:
    """Whether nearly the same runs carry both, so that data cannot tell them apart."""
    return bool((a & b).sum() >= 0.95 * (a | b).sum())


def window(
    runs: Table, strata: Ints, slow: Scored, asked: Iterable[str]
) -> tuple[Candidate | None, int]:
    """The stretch in which one of the times went up the most, and how many were looked at.

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
        low, high, z, n = _highest(there.scores, spread)
        looked += n
        if z <= 0 or (best is not None and z <= best.z):
            continue
        mask = np.zeros(len(runs), dtype=bool)
        mask[known[low] : known[high - 1] + 1] = True
        if scores.groups(slow, [mask]).z[0] < 3:
            continue
        log_p = chances.log_normal_tail(z) + float(np.log(n))
        starts = (int(runs.start_ns[known[low]]), int(runs.start_ns[known[high - 1]]))
        best = Candidate("time", time, None, mask, log_p, z, starts)
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
        return None, len(lows)
    low, high = int(lows[at] + inside[0]), int(lows[at] + inside[-1])
    mask = np.zeros(n, dtype=bool)
    mask[low : high + 1] = True
    z = float(np.sqrt(max(0.0, -2 * log_p[at])))  # near enough to set it beside others
    starts = (int(runs.start_ns[low]), int(runs.start_ns[high]))
    found = Candidate("error", "", None, mask, float(log_p[at] + np.log(len(lows))), z, starts)
    return found, len(lows)
