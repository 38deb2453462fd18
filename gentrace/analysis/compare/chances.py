"""Tails and intervals of the distributions that are needed; the tests hold each against scipy's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gentrace.analysis.compare.tails import gamma_shares, log_gamma, log_normal

Floats = NDArray[np.float64]
_Z95 = 1.959963984540054


def log_normal_tail(z: float) -> float:
    """Log of the chance of a standard normal above ``z``."""
    return log_normal(z)


def two_sided(z: float) -> float:
    """The chance of a standard normal as far from 0 as ``z``."""
    return min(1.0, 2 * math.exp(log_normal(abs(z))))


def log_poisson_tail(least: Floats, mean: Floats) -> Floats:
    """Log of the chance of at least so many."""
    counts, means = np.broadcast_arrays(np.maximum(least, 1.0), np.asarray(mean, np.float64))
    chance = np.where(least > 0, gamma_shares(counts, means)[0], 1.0)
    return np.log(np.maximum(chance, 1e-300))


def hypergeometric(k: NDArray[np.int64], size: int, hits: int, drawn: int) -> Floats:
    """The chance of ``k`` hits among ``drawn`` of ``size``, ``hits`` of which are."""

    def log_choose(n: Any, m: Any) -> Floats:
        n, m = np.broadcast_arrays(np.asarray(n, np.float64), np.asarray(m, np.float64))
        return log_gamma(n + 1) - log_gamma(m + 1) - log_gamma(n - m + 1)

    return np.exp(
        log_choose(hits, k) + log_choose(size - hits, drawn - k) - log_choose(size, drawn)
    )


def log_chi_square(cells: NDArray[np.int64]) -> float:
    """Log of the chance of rows as unlike as these (Pearson's test of independence)."""
    total = cells.sum()
    expected = cells.sum(axis=1, keepdims=True) * cells.sum(axis=0, keepdims=True) / total
    statistic = float(((cells - expected) ** 2 / expected).sum())
    free = (cells.shape[0] - 1) * (cells.shape[1] - 1)
    _, above = gamma_shares(np.array([free / 2]), np.array([statistic / 2]))
    return math.log(max(float(above[0]), 1e-300))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    squared = _Z95**2 / n
    middle = (share + squared / 2) / (1 + squared)
    half = _Z95 / (1 + squared) * np.sqrt(share * (1 - share) / n + squared / (4 * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def median_difference(a: Floats, b: Floats, resamples: int = 599) -> tuple[float, float]:
    """The 95 % interval of a difference of medians, by bootstrap; the same for the same data."""
    if len(a) < 2 or len(b) < 2:
        return -np.inf, np.inf
    rng = np.random.default_rng(0)
    medians = [np.median(x[rng.integers(0, len(x), (resamples, len(x)))], axis=1) for x in (a, b)]
    low, high = np.quantile(medians[0] - medians[1], (0.025, 0.975))
    return float(low), float(high)
