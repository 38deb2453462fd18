"""The special functions that tails of distributions are made of, on numpy and the standard library.

scipy.special has them all, and takes a third of the time to be imported in which a question about a
hundred thousand runs is answered. The tests hold each of these against it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_FAR = 30.0
_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_TINY, _CLOSE = 1e-300, 1e-16
_MOST = 100_000


def log_normal(z: float) -> float:
    """Log of the chance of a standard normal above ``z``."""
    if z < 0:
        return math.log1p(-0.5 * math.erfc(-z / math.sqrt(2)))
    if z < _FAR:
        return math.log(0.5 * math.erfc(z / math.sqrt(2)))
    term, total = 1.0, 1.0
    for odd in range(1, 12, 2):  # an asymptotic series; its terms shrink while odd < z**2
        term *= -odd / z**2
        total += term
    return -(z**2) / 2 - math.log(z) - _HALF_LOG_TAU + math.log(total)


def log_gamma(x: Floats) -> Floats:
    """Log of the gamma function of each, positive."""
    return np.array([math.lgamma(each) for each in x.ravel().tolist()]).reshape(x.shape)


def gamma_shares(a: Floats, x: Floats) -> tuple[Floats, Floats]:
    """The regularised incomplete gamma functions, lower and upper, of positive ``a``, ``x`` >= 0.

    A series where ``x`` is under the bulk of the distribution, a continued fraction elsewhere; each
    gives the smaller share to nearly all digits, as the other one is 1 less that.
    """
    with np.errstate(divide="ignore"):
        scale = np.exp(a * np.log(x) - x - log_gamma(a))
    lower = np.empty(a.shape)
    under = x < a + 1
    lower[under] = scale[under] * _series(a[under], x[under])
    upper = 1 - lower
    upper[~under] = scale[~under] * _fraction(a[~under], x[~under])
    lower[~under] = 1 - upper[~under]
    return lower, upper


def _series(a: Floats, x: Floats) -> Floats:
    term = 1 / a
    total = term.copy()
    for n in range(1, _MOST):
        term = term * (x / (a + n))
        total += term
        if np.all(term <= total * _CLOSE):
            break
    return total


def _fraction(a: Floats, x: Floats) -> Floats:
    """By Lentz's method."""
    b = x + 1 - a
    c = np.full(a.shape, 1 / _TINY)
    d = 1 / np.where(b == 0, _TINY, b)
    found = d.copy()
    for n in range(1, _MOST):
        over = n * (a - n)
        b = b + 2
        d = over * d + b
        d = 1 / np.where(np.abs(d) < _TINY, _TINY, d)
        c = b + over / c
        c = np.where(np.abs(c) < _TINY, _TINY, c)
        found *= c * d
        if np.all(np.abs(c * d - 1) <= 4 * _CLOSE):
            break
    return found
