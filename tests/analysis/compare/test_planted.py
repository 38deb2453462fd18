"""Planted truth: the cause is the first finding, and where nothing is planted there is none.

A subset of what `python -m bench.findings` prints, with seeds that nothing was tuned on.
"""

from __future__ import annotations

import pytest

from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.groups import groups
from gentrace.analysis.compare.slow import slow
from gentrace.analysis.compare.table import table
from gentrace.core import names
from tests.analysis.compare import planted
from tests.analysis.compare.planted import FAILING, SLOW, right

SEEDS = range(100, 116)
MISSED = 1


@pytest.mark.parametrize("scenario", SLOW)
def test_what_makes_runs_slow_is_found(scenario: str) -> None:
    wrong: list[object] = []
    for seed in SEEDS:
        rows, truth = planted.planted(SLOW[scenario], seed)
        findings = slow(table(rows)).findings
        if not right(findings, truth):
            wrong.append((seed, truth, findings[:2]))
    assert len(wrong) <= MISSED, wrong


@pytest.mark.parametrize("scenario", FAILING)
def test_what_makes_runs_fail_is_found(scenario: str) -> None:
    wrong: list[object] = []
    for seed in SEEDS:
        rows, truth = planted.planted(FAILING[scenario], seed)
        findings = failing(table(rows)).findings
        if not right(findings, truth):
            wrong.append((seed, truth, findings[:2]))
    assert len(wrong) <= MISSED, wrong


@pytest.mark.parametrize("seed", range(100, 106))
def test_the_effect_lies_in_its_interval_and_near_what_was_planted(seed: int) -> None:
    rows, _ = planted.planted(planted.slow_account, seed)
    runs = table(rows)
    first = slow(runs).findings[0]
    others = [r.at_least_s for r in rows if r.attributes[names.ACCOUNT_ID] != "77"]
    usual_s = sorted(others)[len(others) // 2]
    low, high = first.interval
    assert first.unit == "s"
    assert low <= first.effect <= high
    assert 0.4 * usual_s < first.effect < 2.5 * usual_s
    assert first.p_adjusted < 0.01
    assert all(
        next(r for r in rows if r.trace_id == e.trace_id).attributes[names.ACCOUNT_ID] == "77"
        for e in first.exemplars
    )


@pytest.mark.parametrize("seed", range(100, 106))
def test_a_time_that_moved_is_named(seed: int) -> None:
    made = planted.draw(seed)
    struck = made.some()
    made.give(names.ACCOUNT_ID, "77", struck)
    made.slow(struck, "queue")
    first = slow(table(planted.rows(made))).findings[0]
    assert (first.value, first.time) == ("77", "queue")


@pytest.mark.parametrize("slower", [True, False])
@pytest.mark.parametrize("seed", range(100, 104))
def test_a_mix_that_hides_or_feigns_a_change_between_named_groups(seed: int, slower: bool) -> None:
    """Simpson's case: as a whole slower (or faster), and within each model just as before."""
    made = planted.draw(seed)
    planted.mix_towards(made, slower)
    runs = table(planted.rows(made))
    newer = runs.start_ns >= runs.start_ns[len(runs) // 2]
    answer = groups(runs, newer, ~newer, ("newer", "older"))
    assert [(f.kind, f.name) for f in answer.findings] == [("mix", names.MODEL)]
    longer = (answer.groups["a"].p50_s or 0) > (answer.groups["b"].p50_s or 0)
    assert longer is slower


def test_each_model_slower_while_the_whole_gets_faster() -> None:
    """Simpson's other direction: the shift of the mix covers up that everything takes longer.

    The mix is no finding then: it is one only where nothing got slower within it.
    """
    made = planted.draw(100)
    planted.mix_towards(made, slower=False)
    struck = planted.np.arange(made.n) >= made.n // 2
    made.slow(struck, "worker", 1.4)
    runs = table(planted.rows(made))
    answer = groups(runs, struck, ~struck, ("newer", "older"))
    assert (answer.groups["a"].p50_s or 0) < (answer.groups["b"].p50_s or 0)
    assert [(f.kind, f.name) for f in answer.findings] == [("time", "worker")]
    assert answer.findings[0].effect > 0
