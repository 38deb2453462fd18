"""The tests and tails, each beside SciPy's own where it has one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gentrace.analysis.compare import chances, scores
from gentrace.analysis.compare.scores import exact_over, groups, scored, slowness

ONE = np.zeros(200, dtype=np.int64)


@pytest.mark.parametrize("seed", range(5))
def test_one_stratum_without_censoring_is_mann_whitney_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seconds = np.round(rng.lognormal(0, 1, 200), 1)
    inside = rng.random(200) < 0.3
    ranks = slowness(seconds, np.ones(200, dtype=bool), ONE)
    z = groups(scored(ranks, ONE), [inside]).z[0]
    theirs = stats.mannwhitneyu(
        seconds[inside], seconds[~inside], use_continuity=False, method="asymptotic"
    )
    assert chances.two_sided(float(z)) == pytest.approx(float(theirs.pvalue), rel=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_hits_of_one_stratum_are_fisher(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits, inside = rng.random(200) < 0.1, rng.random(200) < 0.2
    cells = [
        [int((hits & inside).sum()), int((~hits & inside).sum())],
        [int((hits & ~inside).sum()), int((~hits & ~inside).sum())],
    ]
    theirs: Any = stats.fisher_exact(cells, alternative="greater")
    assert exact_over(hits, inside, ONE) == pytest.approx(float(theirs.pvalue))


def test_strata_whose_rates_differ_make_no_difference_within() -> None:
    strata = np.repeat([0, 1], 100)
    hits = np.tile(np.arange(100) % 10 == 0, 2) | ((strata == 1) & (np.arange(200) % 2 == 0))
    inside = np.where(strata == 1, np.arange(200) % 4 < 2, np.arange(200) % 20 == 3)
    assert exact_over(hits, inside.astype(bool), np.zeros(200, dtype=np.int64)) < 0.01
    assert exact_over(hits, inside.astype(bool), strata) > 0.2


def test_an_unfinished_run_scores_as_what_takes_longer_than_it_did_so_far() -> None:
    seconds = np.array([1.0, 2.0, 3.0, 4.0, 2.5])
    ended = np.array([True, True, True, True, False])
    found = slowness(seconds, ended, np.zeros(5, dtype=np.int64))
    assert found[1] < found[4]
    assert found[0] < found[1] < found[2] < found[3]
    assert found.sum() == pytest.approx(0, abs=1e-12)


def test_a_quantile_beyond_what_has_ended_is_not_known() -> None:
    seconds = np.array([1.0, 2.0, 3.0, 3.0])
    ended = np.array([True, True, False, False])
    assert scores.quantile(seconds, ended, 0.5) == 2.0
    assert scores.quantile(seconds, ended, 0.9) is None


@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_hypergeometric(size: int, hits: int, drawn: int) -> None:
    hits, drawn = min(hits, size), min(drawn, size)
    k = np.arange(max(0, drawn + hits - size), min(drawn, hits) + 1)
    theirs = stats.hypergeom.pmf(k, size, hits, drawn)
    np.testing.assert_allclose(chances.hypergeometric(k, size, hits, drawn), theirs, rtol=1e-8)


@given(st.integers(0, 50), st.integers(1, 400))
@settings(max_examples=50, deadline=None)
def test_wilson(hits: int, n: int) -> None:
    hits = min(hits, n)
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert chances.wilson(hits / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_the_other_tails() -> None:
    for z in (-9.0, -1.0, 0.0, 3.0, 9.0, 29.999, 30.0, 38.0, 100.0, 1e4):
        assert chances.log_normal_tail(z) == pytest.approx(float(stats.norm.logsf(z)), rel=1e-11)
        assert chances.two_sided(z) == pytest.approx(2 * float(stats.norm.sf(abs(z))), rel=1e-9)
    least, mean = np.array([0.0, 1.0, 7.0]), np.array([2.0, 0.3, 1.5])
    theirs = stats.poisson.logsf(least - 1, mean)
    np.testing.assert_allclose(chances.log_poisson_tail(least, mean), theirs)
    cells = np.array([[20, 30, 50], [40, 35, 25]])
    both: Any = stats.chi2_contingency(cells)
    assert chances.log_chi_square(cells) == pytest.approx(float(np.log(both.pvalue)))


def test_the_interval_of_a_difference_of_medians_covers_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        a, b = rng.lognormal(0.5, 0.6, 40), rng.lognormal(0, 0.6, 300)
        low, high = chances.median_difference(a, b)
        covered += low <= np.exp(0.5) - 1 <= high
    assert covered >= 182
