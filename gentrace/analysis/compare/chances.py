"""Tails and intervals of the distributions that are needed, on :mod:`scipy.special`.

scipy.stats has them all, and takes a second to be imported, which is half of what a question about
a hundred thousand runs may take; scipy.special a fifth, and only where it is called. The normal
tail, which every question asks for, is the standard library's. The tests hold each against scipy.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_Z95 = 1.959963984540054
_FAR = 30.0
"""From here on erfc comes near what a float can hold."""


def log_normal_tail(z: float) -> float:
    """Log of the chance of a standard normal above ``z``."""
    if z < _FAR:
        return math.log(0.5 * math.erfc(z / math.sqrt(2)))
    series = 1 - 1 / z**2 + 3 / z**4 - 15 / z**6 + 105 / z**8  # asymptotic
    return -(z**2) / 2 - math.log(z * math.sqrt(2 * math.pi)) + math.log(series)


def two_sided(z: float) -> float:
    """The chance of a standard normal as far from 0 as ``z``."""
    return min(1.0, math.erfc(abs(z) / math.sqrt(2)))


def log_sum_tail(total: float, variance: float, most: float) -> float:
    """Log of a bound (Bennett's) on the chance that bounded values of mean 0 add up to so much.

    It holds for few and for skewed values, where the normal tail is far too small.

    Args:
        variance: of the sum.
        most: the greatest that one value can be.
    """
    if total <= 0 or variance <= 0:
        return 0.0
    u = most * total / variance
    return float(-variance / most**2 * ((1 + u) * np.log1p(u) - u))


def log_poisson_tail(least: Floats, mean: Floats) -> Floats:
    """Log of the chance of at least so many."""
    from scipy import special

    chance = np.where(least > 0, cast(Any, special.gammainc)(np.maximum(least, 1), mean), 1.0)
    return np.log(np.maximum(chance, 1e-300))


def hypergeometric(k: NDArray[np.int64], size: int, hits: int, drawn: int) -> Floats:
    """The chance of ``k`` hits among ``drawn`` of ``size``, ``hits`` of which are."""
    from scipy import special

    gammaln = cast(Any, special.gammaln)

    def log_choose(n: Any, m: Any) -> Any:
        return gammaln(n + 1) - gammaln(m + 1) - gammaln(n - m + 1)

    found = log_choose(hits, k) + log_choose(size - hits, drawn - k) - log_choose(size, drawn)
    return cast(Floats, np.exp(found))


def log_chi_square(cells: NDArray[np.int64]) -> float:
    """Log of the chance of rows as unlike as these (Pearson's test of independence)."""
    from scipy import special

    total = cells.sum()
    expected = cells.sum(axis=1, keepdims=True) * cells.sum(axis=0, keepdims=True) / total
    statistic = float(((cells - expected) ** 2 / expected).sum())
    free = (cells.shape[0] - 1) * (cells.shape[1] - 1)
    return float(np.log(max(float(cast(Any, special.chdtrc)(free, statistic)), 1e-300)))


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
