"""``slow`` where many runs go on, or are equally long: what counts as slow, and who is to blame."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from gentrace.analysis.compare import strata
from gentrace.analysis.compare.model import RunRow
from gentrace.analysis.compare.slow import is_slow, slow
from gentrace.analysis.compare.table import table
from gentrace.core import names

MINUTE = 60 * 10**9


def run(number: int, seconds: float, account: str, outcome: str = "completed") -> RunRow:
    """One run a minute, all of one kind, their time the provider's."""
    return RunRow(
        id=str(number), run=1, trace_id=f"{number + 1:032x}", start_ns=number * MINUTE,
        duration_s=seconds, outcome=outcome, seen_s=seconds, operation="draw", provider="acme",
        model="a-1", times={"provider_run": seconds}, stage="finished",
        attributes={names.ACCOUNT_ID: account},
    )  # fmt: skip


def goes_on(row: RunRow, age_s: float) -> RunRow:
    """The same, not ended."""
    return replace(row, duration_s=None, outcome=None, seen_s=age_s, times={})


def service(n: int, hanging: int) -> list[RunRow]:
    """Every so many-th run is account 7's and never ends; the window ends with the last run."""
    draw = random.Random(7)
    return [
        goes_on(run(k, 0.0, "7"), (n - k) * 60.0)
        if k % hanging == 0
        else run(k, 20 * draw.lognormvariate(0, 0.3), str(k % 5))
        for k in range(n)
    ]


@pytest.mark.parametrize("hanging", [3, 5, 7, 9, 12])
def test_an_account_whose_runs_never_end_is_found(hanging: int) -> None:
    answer = slow(table(service(280, hanging)))
    assert (answer.findings[0].name, answer.findings[0].value) == (names.ACCOUNT_ID, "7")
    assert answer.groups["slow"].unfinished >= 280 // hanging
    assert not answer.not_enough_data


def test_runs_that_go_on_are_slow_once_older_than_nearly_all_finished() -> None:
    rows = [run(k, 10.0 + k % 10, "1") for k in range(60)]
    rows += [goes_on(run(60 + k, 0.0, "1"), 100.0 if k < 15 else 12.0) for k in range(20)]
    runs = table(rows)
    assert not strata.p90(runs).reached.any()
    assert np.flatnonzero(is_slow(runs, strata.p90(runs))).tolist() == [*range(60, 75)]
    answer = slow(runs)
    assert any("15 of those runs" in note and note.endswith("5 do not") for note in answer.notes)
    assert {each.a_s for each in answer.times.values()} == {None}


def test_nothing_finished_is_answered() -> None:
    answer = slow(table([goes_on(run(k, 0.0, "1"), 60.0 * k) for k in range(40)]))
    assert list(answer.findings) == []
    assert answer.groups["slow"].n == 0
    assert answer.notes


@pytest.mark.parametrize("every", [9, 10, 11])
def test_the_longest_being_as_long_as_the_p90_hides_no_cause(every: int) -> None:
    rows = [run(k, 20.0 if k % every == 0 else 10.0, "7" if k % every == 0 else str(k % 4))
            for k in range(400)]  # fmt: skip
    answer = slow(table(rows))
    assert [(each.name, each.value) for each in answer.findings] == [(names.ACCOUNT_ID, "7")]
    assert answer.findings[0].effect == pytest.approx(10)
