"""What is compared with what: kinds, the wider kind where a kind has few runs, and its p90."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gentrace.analysis.compare.scores import LEAST, quantile, renumbered
from gentrace.analysis.compare.table import KIND, Bools, Floats, Ints, Table
from gentrace.core import names

_NEARLY = 0.99
"""Of the finished runs: what is longer than so many is longer than nearly all."""


def combined(parts: Sequence[Ints | Bools], length: int) -> Ints:
    """One number for each combination that occurs."""
    codes = np.zeros(length, dtype=np.int64)
    for part in parts:
        given = renumbered(part.astype(np.int64))
        codes = renumbered(codes * (int(given.max(initial=0)) + 1) + given)
    return codes


def beside(name: str) -> tuple[str, ...]:
    """Within which attributes of the kind an attribute's values are compared.

    A model is one provider's, as a rule: within providers a model has no others beside it, and
    within models a provider has none. So either is compared across the other.
    """
    nested = (names.PROVIDER, names.MODEL)
    left_out = nested if name in nested else (name,)
    return tuple(part for part in KIND if part not in left_out)


def kinds(runs: Table, within: Sequence[str] = KIND) -> Ints:
    """Each run's kind; runs of kinds under eight go together by the wider kind, then as one."""
    codes = np.full(len(runs), -1, dtype=np.int64)
    following = 0
    for width in range(len(within), -1, -1):
        left = codes < 0
        if not left.any():
            break
        wide = combined([runs.column(name).codes for name in within[:width]], len(runs))
        sizes = np.bincount(wide[left], minlength=int(wide.max(initial=0)) + 1)
        fits = left & ((sizes[wide] >= LEAST) | (width == 0))
        codes[fits] = wide[fits] + following
        following = int(codes.max(initial=0)) + 1
    return codes


@dataclass(frozen=True)
class Limits:
    """Above what each run is slow for its kind.

    Attributes:
        reached: whether that is the p90; else so many runs go on that the p90 is not known, and
            what nearly all of the finished ones did not exceed stands in for it.
    """

    seconds: Floats
    reached: Bools


def p90(runs: Table) -> Limits:
    """The p90 of each run's own kind: the narrowest of its kinds that has eight runs in all."""
    found, reached = np.full(len(runs), np.nan), np.ones(len(runs), dtype=bool)
    for width in range(len(KIND), -1, -1):
        left = np.isnan(found)
        if not left.any():
            break
        wide = combined([runs.column(name).codes for name in KIND[:width]], len(runs))
        for kind in np.unique(wide[left]):
            rows = wide == kind
            if rows.sum() >= LEAST or width == 0:
                limit = quantile(runs.seconds[rows], runs.ended[rows], 0.9)
                reached[rows & left] = limit is not None
                found[rows & left] = _nearly_all(runs, rows) if limit is None else limit
    return Limits(found, reached)


def _nearly_all(runs: Table, rows: Bools) -> float:
    """What a hundredth of the finished runs exceed; of under a hundred, none."""
    finished = runs.seconds[rows & runs.ended]
    return float(np.quantile(finished, _NEARLY, method="higher")) if len(finished) else np.inf


def comparable(a: Bools, b: Bools, within: Ints) -> tuple[Bools, Bools]:
    """Both groups in the strata that have runs of each."""
    size = int(within.max(initial=0)) + 1
    there = (np.bincount(within[a], minlength=size) > 0) & (
        np.bincount(within[b], minlength=size) > 0
    )
    return a & there[within], b & there[within]


def centres(values: Floats, strata: Ints, of: Bools) -> Floats:
    """For each run, its stratum's median of ``values`` over ``of``; the overall one where none."""
    overall = float(np.median(values[of])) if of.any() else 0.0
    found = np.full(len(values), overall)
    for stratum in np.unique(strata):
        rows = strata == stratum
        there = rows & of
        if there.any():
            found[rows] = np.median(values[there])
    return found
