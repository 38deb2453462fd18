"""What is planted where load and providers drift, and what made a difference there, each by itself.

The former are a few seeds of `python -m bench.findings_drifting`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.findings_drifting import cases
from bench.planted_cases import Case, score
from gentrace.analysis.compare.slow import slow
from gentrace.analysis.compare.table import table
from gentrace.core import names
from tests.analysis.compare import planted
from tests.support import outside, outside_causes

SEEDS = range(200, 208)
MISSED = 1
BUILD, DAY = "shop.build", "shop.day"


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.question.__name__}: {case.name}")
def test_what_is_planted_is_found(case: Case) -> None:
    missed = score(case, SEEDS).missed
    assert len(missed) <= MISSED, missed


def findings(made: planted.Draw) -> list[tuple[str, str, str | None]]:
    return [(f.kind, f.name, f.value) for f in slow(table(planted.rows(made))).findings]


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_run_that_goes_on_does_not_speak_against_a_version_that_it_does_not_tell(
    seed: int,
) -> None:
    made = planted.draw(seed)
    newer = np.arange(made.n) >= made.n // 2
    made.text[names.CODE_VERSION] = ["r2" if new else "r1" for new in newer]
    made.times["worker"] = made.times["worker"] + np.where(
        newer, made.rng.uniform(8, 12, made.n), 0
    )
    made.unfinished = newer & (made.rng.random(made.n) < 0.05)
    rows = planted.rows(made)
    told = [
        replace(row, attributes={}) if goes_on else row  # what only the run span tells
        for row, goes_on in zip(rows, made.unfinished, strict=True)
    ]
    found = [(f.kind, f.name, f.value) for f in slow(table(told)).findings]
    assert found == [("attribute", names.CODE_VERSION, "r2")]


@pytest.mark.parametrize("seed", [102, 106, 115, 116])
def test_of_two_that_came_one_after_the_other_the_one_that_its_time_came_with(seed: int) -> None:
    """By the whole duration, which is noisy, the later one is ahead."""
    made = planted.draw(seed)
    at = np.arange(made.n) / made.n
    made.text[names.CODE_VERSION] = ["r2" if part >= 0.5 else "r1" for part in at]
    made.text[BUILD] = ["b2" if part >= 0.6 else "b1" for part in at]
    made.times["provider_run"] = made.rng.uniform(20, 120, made.n) * np.where(at >= 0.6, 1.2, 1)
    made.times["worker"] = made.times["worker"] + np.where(at >= 0.5, 12, 0)
    assert findings(made)[0] == ("attribute", names.CODE_VERSION, "r2")


@pytest.mark.parametrize("seed", [100, 101, 103, 104])
def test_a_day_that_had_most_of_a_backlog_is_not_the_backlog(seed: int) -> None:
    made = planted.draw(seed)
    at = np.arange(made.n) / made.n
    made.text[names.CODE_VERSION] = ["r1"] * made.n
    made.text[DAY] = ["thu" if part < 0.52 else "fri" if part < 0.77 else "sat" for part in at]
    made.times["provider_run"] = made.rng.uniform(20, 150, made.n)
    backlog = (at >= 0.5) & (at < 0.77)
    made.times["queue"] = made.times["queue"] + np.where(backlog, 30, 0)
    assert findings(made)[:1] == [("time", "queue", None)]


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_version_on_a_slope_of_load_is_no_cause(seed: int) -> None:
    """The queue grows shorter all the while before it came, and not when it came."""
    made = planted.draw(seed)
    at = np.arange(made.n) / made.n
    made.text[names.CODE_VERSION] = ["r2" if part >= 0.87 else "r1" for part in at]
    usual_s = np.interp(at, [0, 0.3, 0.87], [25, 25, 1])
    made.times["queue"] = made.rng.lognormal(0, 0.3, made.n) * usual_s
    found = findings(made)
    assert not [told for told in found if told[1] == names.CODE_VERSION], found


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_time_that_hardly_moved_is_not_named_for_another(seed: int) -> None:
    """A wait of half a second is sure, and nothing beside what else took longer then."""
    made = planted.draw(seed)
    made.text[names.CODE_VERSION] = ["r1"] * made.n
    made.failed[:] = False
    struck = made.stretch(0.2)
    made.times["queue"] = made.rng.uniform(0.1, 0.2, made.n) + np.where(struck, 0.5, 0)
    made.times["provider_run"] = made.rng.uniform(20, 60, made.n) + np.where(struck, 25, 0)
    assert findings(made)[:1] == [("time", "provider_run", None)]


def test_a_version_of_both_halves_has_not_become_slower_by_itself() -> None:
    made, _ = outside_causes.SLOW["backlog, load 5x by the day"](1020)
    found = slow(table(outside.rows(made))).findings
    assert not [each for each in found if each.kind == "attribute"], found


@pytest.mark.parametrize("seed", [102, 108, 123, 126])
def test_a_version_that_met_a_slow_hour_is_no_change_of_the_mix(seed: int) -> None:
    """Its first runs did, which are the older half's only ones of it."""
    made = planted.draw(seed)
    at = np.arange(made.n) / made.n
    made.text[names.CODE_VERSION] = ["r2" if part >= 0.46 else "r1" for part in at]
    drift = np.interp(at, [0, 0.4599, 0.46, 0.4999, 0.5, 1], [1, 1, 1.6, 1.6, 1.05, 1.05])
    made.times["provider_run"] = made.times["provider_run"] * drift
    found = findings(made)
    assert not [told for told in found if told[1] == names.CODE_VERSION], found
