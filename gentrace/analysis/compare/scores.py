"""Rank tests within strata, on durations some of which are only known to be longer.

A run's score is how slow it is among its stratum, from -1 to 1: ranks, hence untouched by heavy
tails and any scale, and with ties sharing one. A run that goes on has the mean score of all that
is longer than its age (Peto and Peto's generalised Wilcoxon scores). What a group of runs then adds
up to is compared with what chance would give it, strata kept (the permutation distribution).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gentrace.analysis.compare.chances import hypergeometric
from gentrace.analysis.compare.table import Bools, Column, Floats, Ints, Tags

LEAST = 8
"""Runs on a side under which nothing is said."""
EXACT_UNDER, EXACT_RUNS = 20, 20_000
"""Where so few hits are expected, among no more runs, chances are counted, not approximated."""
ALPHA = 0.01
"""A corrected p above it is no finding. Below the usual 5 %: a false cause costs somebody a day."""


def slowness(seconds: Floats, ended: Bools, strata: Ints) -> Floats:
    """Each run's score among its stratum; they sum to 0 within each."""
    scores = np.zeros(len(seconds))
    order = _by_duration(seconds, ended)
    order = order[by_number(strata[order])]
    bounds = np.flatnonzero(np.diff(strata[order])) + 1
    for rows in np.split(order, bounds):
        if len(rows) > 1:
            found = _peto(seconds[rows], ended[rows])
            scores[rows] = found - found.mean()
    return scores


def _by_duration(seconds: Floats, ended: Bools) -> Ints:
    """By duration, then those that have ended first; what is equal stays in its order."""
    order = np.concatenate([np.flatnonzero(ended), np.flatnonzero(~ended)])
    return order[seconds[order].argsort(kind="stable")]


def by_number(codes: Ints) -> Ints:
    """The places of numbers from 0 in ascending order, equal ones in theirs.

    Those of 16 bits are sorted by counting, in a tenth of the time.
    """
    small = int(codes.max(initial=0)) < 2**16
    return (codes.astype(np.uint16) if small else codes).argsort(kind="stable")


def survival(seconds: Floats, ended: Bools) -> tuple[Floats, Floats]:
    """Distinct durations, ascending, and the share of runs that take longer (Kaplan-Meier).

    Args:
        seconds: ascending.
    """
    first = np.flatnonzero(_first(seconds))
    ended_then = np.add.reduceat(ended.astype(np.float64), first)
    at_risk = len(seconds) - first
    return seconds[first], np.cumprod(1 - ended_then / at_risk, dtype=np.float64)


def _first(values: Floats) -> Bools:
    """Of ascending values, which are the first of their like."""
    found = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=found[1:])
    return found


def quantile(seconds: Floats, ended: Bools, share: float) -> float | None:
    """The duration that ``share`` of the runs do not exceed; None where that is not known yet."""
    if not len(seconds):
        return None
    if ended.all():
        return float(np.quantile(seconds, share))
    order = _by_duration(seconds, ended)
    times, longer = survival(seconds[order], ended[order])
    reached = np.flatnonzero(longer <= 1 - share + 1e-12)
    return float(times[reached[0]]) if len(reached) else None


def _peto(seconds: Floats, ended: Bools) -> Floats:
    """Scores of one stratum, given sorted."""
    _, longer = survival(seconds, ended)
    at = np.cumsum(_first(seconds)) - 1
    before = np.concatenate(([1.0], longer))[at]
    return np.where(ended, 1 - before - longer[at], 1 - longer[at])


@dataclass(frozen=True)
class Scored:
    """Scores within strata, ready to be summed over groups of runs.

    Attributes:
        spread: of a run's stratum, the variance that one run's score adds to a group's sum.
    """

    scores: Floats
    strata: Ints
    sizes: Ints
    spread: Floats

    @property
    def n_strata(self) -> int:
        """How many."""
        return len(self.sizes)


def renumbered(codes: Ints) -> Ints:
    """The same partition, by numbers from 0 without gaps; counted, since sorting takes longer."""
    codes = codes - int(codes.min(initial=0))
    top = int(codes.max(initial=0))
    if top > 8 * len(codes) + 1_000:
        return np.unique(codes, return_inverse=True)[1].astype(np.int64)
    there = np.zeros(top + 1, dtype=bool)
    there[codes] = True
    return (np.cumsum(there) - 1)[codes].astype(np.int64)


def scored(scores: Floats, strata: Ints) -> Scored:
    """Centred within the strata, which are renumbered."""
    codes = renumbered(strata)
    sizes = np.bincount(codes)
    means = np.bincount(codes, scores) / sizes
    centred = scores - means[codes]
    spread = np.bincount(codes, centred**2) / np.maximum(sizes - 1, 1)
    return Scored(centred, codes, sizes, spread)


@dataclass(frozen=True)
class Tested:
    """Each word of a column against the others.

    Attributes:
        z: by word; positive where its runs score higher.
        inside: how many of its runs can be compared, and ``outside`` with how many others.
        mean: by how much its runs score higher than the others, within strata.
        spread: the variance of that by chance.
    """

    z: Floats
    inside: Ints
    outside: Ints
    mean: Floats
    spread: Floats

    @property
    def enough(self) -> Bools:
        """Which words have enough runs on both sides."""
        return (self.inside >= LEAST) & (self.outside >= LEAST)


def words(given: Scored, column: Column | Tags) -> Tested:
    """Tests every word of a column at once."""
    if isinstance(column, Tags):
        rows, codes = column.rows, column.codes
    else:
        rows = np.flatnonzero(column.codes >= 0)
        codes = column.codes[rows]
    n, many = len(column.words), given.n_strata
    cells = codes * many + given.strata[rows]
    sums = np.bincount(codes, given.scores[rows], minlength=n).astype(np.float64)
    counts = np.bincount(cells, minlength=n * many).reshape(n, many)
    return _against(given, sums, counts)


def groups(given: Scored, masks: list[Bools]) -> Tested:
    """Tests groups of runs, each against the others."""
    sums = np.array([given.scores[mask].sum() for mask in masks])
    counts = np.array([np.bincount(given.strata[m], minlength=given.n_strata) for m in masks])
    return _against(given, sums, counts)


def _against(given: Scored, sums: Floats, counts: Ints) -> Tested:
    others = given.sizes[None, :] - counts
    variance = (counts * others / given.sizes[None, :] * given.spread[None, :]).sum(axis=1)
    comparable = (counts > 0) & (others > 0)
    weight = (counts * others / given.sizes[None, :]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(variance > 1e-12, sums / np.sqrt(variance), 0.0)
        mean = np.where(weight > 0, sums / weight, 0.0)
        spread = np.where(weight > 0, variance / weight**2, 0.0)
    inside = np.where(comparable, counts, 0).sum(axis=1)
    outside = np.where(comparable, others, 0).sum(axis=1)
    return Tested(z, inside, outside, mean, spread)


def exact_over(hits: Bools, mask: Bools, strata: Ints) -> float:
    """P of at least as many hits in the group by chance, given each stratum's own (exact CMH).

    Of one stratum it is Fisher's exact test; strata add up by convolution.
    """
    ours = np.array([1.0])
    seen = 0
    least = 0
    for stratum in np.unique(strata[mask]):
        within = strata == stratum
        size, all_hits = int(within.sum()), int(hits[within].sum())
        drawn = int((mask & within).sum())
        if drawn == size or all_hits in (0, size):
            continue
        low, high = max(0, drawn + all_hits - size), min(drawn, all_hits)
        chance = hypergeometric(np.arange(low, high + 1), size, all_hits, drawn)
        ours = np.convolve(ours, chance)
        least += low
        seen += int(hits[mask & within].sum())
    return float(min(1.0, ours[max(0, seen - least) :].sum()))


def holm(p: float, tested: int, before: int = 0) -> float:
    """The p of a step of Holm's procedure, ``before`` stronger ones having been found.

    Holm and not Benjamini-Hochberg: it holds whatever the attributes have to do with each other,
    and bounds the chance of a single false finding, which is what sends somebody the wrong way.
    """
    return min(1.0, p * max(1, tested - before))
