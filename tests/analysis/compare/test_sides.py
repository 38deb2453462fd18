"""Two groups that are named: what separates them, how they fail, and runs that have not ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gentrace.analysis.compare import separate
from gentrace.analysis.compare.groups import groups
from gentrace.analysis.compare.model import Finding, GroupComparison, RunRow
from gentrace.analysis.compare.slow import slow
from gentrace.analysis.compare.table import Table, table
from gentrace.core import names
from gentrace.report import group_json, unanswered
from gentrace.report import groups as words

SECOND = 10**9


def runs(change: Callable[[int, RunRow], RunRow], n: int = 200) -> Table:
    """Runs of 20 s of one kind, each changed by its number."""
    rng = np.random.default_rng(7)
    found: list[RunRow] = []
    for number in range(n):
        times = {"queue": float(rng.exponential(1)), "provider_run": 20 * rng.lognormal(0, 0.3)}
        row = RunRow(
            f"{number}", 1, f"{number:032x}", number * 60 * SECOND, sum(times.values()),
            "completed", operation="t2v", provider="acme", model="v5", times=times,
            attributes={names.ACCOUNT_ID: str(rng.integers(5)), names.CODE_VERSION: "r1"},
            stage="finished",
        )  # fmt: skip
        found.append(change(number, row))
    return table(found)


def slower(row: RunRow, factor: float = 2.0, **changes: Any) -> RunRow:
    times = {**row.times, "provider_run": row.times["provider_run"] * factor}
    return replace(row, times=times, duration_s=sum(times.values()), **changes)


def going(row: RunRow, age_s: float, account: str = "7") -> RunRow:
    return replace(
        row, duration_s=None, outcome=None, seen_s=age_s, times={},
        attributes={names.ACCOUNT_ID: account},
    )  # fmt: skip


def failed(row: RunRow) -> RunRow:
    return replace(row, outcome="failed", error_code="boom", stage="provider")


def by(made: Table, name: str, a: str, b: str | None = None) -> GroupComparison:
    first = made.holds(name, a)
    second = ~first if b is None else made.holds(name, b)
    return groups(made, first, second, (f"{name}={a}", b or "all others"), {name})


def only(answer: GroupComparison) -> Finding:
    (found,) = answer.findings
    return found


@pytest.mark.parametrize(
    ("name", "value", "changes"),
    [
        (names.MODEL, "v6", {"model": "v6"}),
        (names.PROVIDER, "sora", {"provider": "sora", "model": "s1"}),
        (names.OPERATION, "i2v", {"operation": "i2v"}),
    ],
)
def test_groups_of_different_kinds_are_compared(
    name: str, value: str, changes: dict[str, Any]
) -> None:
    made = runs(lambda n, row: slower(row, **changes) if n % 2 else row)
    found = only(by(made, name, value))
    assert (found.kind, found.name, found.effect > 10) == ("time", "provider_run", True)
    assert f"{name}={value}" in found.also
    assert "no attribute" not in words.meaning(found)
    assert not by(
        runs(lambda n, row: replace(row, **changes) if n % 2 else row), name, value
    ).findings


def test_a_model_that_was_switched_is_a_mix() -> None:
    made = runs(lambda n, row: slower(row, model="v6") if n >= 100 else row)
    newer = np.arange(200) >= 100
    found = only(groups(made, newer, ~newer, ("newer", "older")))
    assert (found.kind, found.name, found.value) == ("mix", names.MODEL, "v6")
    (found,) = slow(made).findings
    assert (found.kind, found.name, found.comparison) == ("mix", names.MODEL, ("newer", "older"))


def test_what_separates_the_sides_is_told() -> None:
    made = runs(
        lambda n, row: (
            slower(row, attributes={**row.attributes, names.CODE_VERSION: "r2"})
            if n >= 100
            else row
        )
    )
    newer = np.arange(200) >= 100
    found = only(groups(made, newer, ~newer, ("newer", "older")))
    assert found.also == (f"{names.CODE_VERSION}=r2",)
    assert "no attribute" not in words.meaning(found)
    accounts = [made.holds(names.ACCOUNT_ID, value) for value in "01"]
    (apart,) = separate.separators(made, accounts[0], accounts[1])
    assert (apart.name, apart.values, apart.wholly) == (names.ACCOUNT_ID, ("0",), True)


def test_a_slowdown_beside_other_shares_is_no_mix() -> None:
    rng = np.random.default_rng(3)

    def change(number: int, row: RunRow) -> RunRow:
        mine = bool(number % 2)
        model = "v6" if rng.random() < (0.2 if mine else 0.8) else "v5"
        factor = (2 if model == "v6" else 1) * (1.6 if mine else 1)
        account = {names.ACCOUNT_ID: "1" if mine else "2"}
        return slower(row, factor, model=model, attributes=account)

    for a, b in ("12", "21"):
        assert only(by(runs(change, 240), names.ACCOUNT_ID, a, b)).kind == "time"


def test_failures_that_are_more_frequent_on_one_side() -> None:
    def change(number: int, row: RunRow) -> RunRow:
        newer = {**row.attributes, names.CODE_VERSION: "r2"}
        row = replace(row, attributes=newer) if number >= 100 else row
        return failed(row) if (number >= 100 and number % 2) or number == 5 else row

    answer = by(runs(change), names.CODE_VERSION, "r2", "r1")
    found = only(answer)
    assert (found.kind, found.name, found.value) == ("error", "fingerprint", "boom at provider")
    assert (found.unit, found.fingerprint) == ("share", "boom at provider")
    assert found.effect == pytest.approx(0.49)
    assert found.interval[0] < found.effect < found.interval[1]
    assert found.also == (f"{names.CODE_VERSION}=r2",)
    back = only(by(runs(change), names.CODE_VERSION, "r1", "r2"))
    assert back.effect == pytest.approx(-0.49)
    alike = runs(lambda n, row: failed(row) if n % 5 == 0 else row)
    half = np.arange(200) >= 100
    assert not groups(alike, half, ~half, ("newer", "older")).findings


@pytest.mark.parametrize(("a", "b"), [("failed", "completed"), ("completed", "failed")])
def test_what_failures_carry(a: str, b: str) -> None:
    made = runs(lambda n, row: failed(replace(row, model="vX")) if n % 5 == 0 else row)
    found = only(by(made, names.OUTCOME, a, b))
    assert (found.kind, found.name, found.value) == ("attribute", names.MODEL, "vX")
    assert found.effect > 0.8


def test_runs_that_hang_have_a_duration_that_is_at_least_so_long() -> None:
    made = runs(lambda n, row: going(row, 3_000.0 + n) if n % 7 == 0 else row)
    answer = by(made, names.ACCOUNT_ID, "7")
    found = only(answer)
    assert (found.kind, found.name, found.time, found.at_least) == ("time", "duration", None, True)
    assert "whole duration" in words.meaning(found)
    assert words.size(found).startswith("at least +")
    told = group_json.as_object(answer)
    assert told["findings"][0]["at_least"] is True
    assert told["times"]["provider_run_s"]["a_s"] is None
    assert told["times"]["provider_run_s"]["difference_s"] is None
    assert told["times"]["provider_run_s"]["b_s"] > 15
    assert told["groups"]["a"]["times"]["queue_s"] is None
    unfinished = groups(made, ~made.ended, made.ended, ("outcome=unfinished", "b"), {names.OUTCOME})
    first, second = unfinished.findings
    assert (first.name, first.value) == (names.ACCOUNT_ID, "7")
    assert (second.name, second.also[0]) == ("duration", "outcome=unfinished")


def test_the_median_is_kaplan_and_meiers_where_it_is_reached() -> None:
    def change(number: int, row: RunRow) -> RunRow:
        if number % 5:
            return row
        mine = replace(row, attributes={names.ACCOUNT_ID: "7"})
        return going(row, 5_000.0) if number % 15 == 0 else slower(mine, 3)

    found = only(by(runs(change), names.ACCOUNT_ID, "7"))
    assert (found.name, found.at_least) == ("provider_run", False)
    assert 30 < found.effect < 120


def test_without_times_it_is_the_duration_that_moved() -> None:
    half = np.arange(200) >= 100
    made = runs(lambda n, row: replace(slower(row) if n >= 100 else row, times={}))
    found = only(groups(made, half, ~half, ("newer", "older")))
    assert (found.name, found.time, found.at_least) == ("duration", None, False)


def test_what_could_not_be_asked_is_not_called_chance() -> None:
    made = runs(lambda n, row: row, 15)
    first = np.arange(15) < 1
    answer = groups(made, first, ~first, ("one", "rest"))
    assert answer.tested == 0
    assert unanswered.nothing(answer) == "nothing could be asked: one: 1 run, 8 are needed"
    assert unanswered.short(answer) == ()
    apart = runs(lambda n, row: replace(row, operation="ab"[n % 2], model="xy"[n // 2 % 2]))
    mask = np.arange(200) % 4 % 3 == 0
    answer = groups(apart, mask, ~mask, ("some", "others"))
    assert "0 and 0 runs are of a kind" in unanswered.nothing(answer)
    assert slow(table([])).tested == 0
