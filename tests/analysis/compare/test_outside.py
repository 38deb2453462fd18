"""What an outsider plants is found, too: a few seeds of `python -m bench.findings_outside`."""

from __future__ import annotations

from typing import Any

import pytest

from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.groups import groups
from gentrace.analysis.compare.slow import slow
from gentrace.analysis.compare.table import table
from gentrace.core import names
from gentrace.report import group_json
from tests.support import outside, outside_causes
from tests.support.outside_causes import FAILING, SLOW, right

SEEDS = range(200, 208)
MISSED = 1


@pytest.mark.parametrize("name", SLOW)
def test_what_makes_runs_slow(name: str) -> None:
    wrong: list[object] = []
    for seed in SEEDS:
        made, truth = SLOW[name](seed)
        answer = group_json.as_object(slow(table(outside.rows(made))))
        if not right(answer, truth):
            wrong.append((seed, truth, answer["findings"][:2]))
    assert len(wrong) <= MISSED, wrong


@pytest.mark.parametrize("name", FAILING)
def test_what_makes_runs_fail(name: str) -> None:
    wrong: list[object] = []
    for seed in SEEDS:
        made, truth = FAILING[name](seed)
        answer = group_json.as_object(failing(table(outside.rows(made))))
        if not right(answer, truth):
            wrong.append((seed, truth, answer["findings"][:2]))
    assert len(wrong) <= MISSED, wrong


@pytest.mark.parametrize("seed", [112, 126, 130, 150])
def test_all_times_a_little_longer_beside_one_with_a_heavy_tail(seed: int) -> None:
    """Neither the whole nor one of the times is sure of it; all of them together are."""
    made, truth = SLOW["account, heavy tails"](seed)
    answer = group_json.as_object(slow(table(outside.rows(made))))
    assert right(answer, truth), answer["findings"]


def test_failures_that_are_few_take_little_from_those_that_are_many() -> None:
    made, truth = FAILING["model, an error others have"](5012)
    answer = group_json.as_object(failing(table(outside.rows(made))))
    assert right(answer, truth), answer["findings"]


def answer_of_a_slow_account() -> Any:
    made, _ = SLOW["account, all of its time 2x"](203)
    return group_json.as_object(slow(table(outside.rows(made))))


def test_a_finding_says_which_groups_it_comes_from() -> None:
    answer = answer_of_a_slow_account()
    assert answer["findings"][0]["comparison"] == ["slow", "rest"]
    assert answer["groups"].keys() >= {*answer["findings"][0]["comparison"]}
    made, _ = SLOW["mix of models"](203)
    first = group_json.as_object(slow(table(outside.rows(made))))["findings"][0]
    assert (first["kind"], first["comparison"]) == ("mix", ["newer", "older"])
    made, _ = FAILING["model, an error of its own"](203)
    first = group_json.as_object(failing(table(outside.rows(made))))["findings"][0]
    assert first["comparison"] == ["failed", "succeeded"]


def test_an_error_of_one_model_is_told_of_the_model_and_then_of_the_error() -> None:
    made, truth = FAILING["model, an error of its own"](204)
    found = group_json.as_object(failing(table(outside.rows(made))))["findings"]
    told = [(each["kind"], each["name"]) for each in found]
    assert told == [("attribute", names.MODEL), ("error", "fingerprint")]
    assert found[0]["value"] == truth[0][2]
    assert found[1]["value"] == found[0]["fingerprint"]
    assert "model_unavailable" in found[1]["value"]


@pytest.mark.parametrize("seed", range(200, 204))
def test_a_mix_between_halves_that_were_named(seed: int) -> None:
    made, truth = SLOW["mix of models"](seed)
    runs = table(outside.rows(made))
    newer = runs.start_ns >= runs.start_ns[len(runs) // 2]
    for a, b in ((newer, ~newer), (~newer, newer)):
        answer = group_json.as_object(groups(runs, a, b, ("one", "other")))
        assert right(answer, truth), answer["findings"]


def test_what_became_of_a_run_is_a_symptom() -> None:
    made = outside.world(205)
    for run in made.some(made.runs, 50):
        run.text |= {names.TRIES: "2", names.ATTEMPTS: "2"}
        run.add("retry_wait", 60.0)
    answer = slow(table(outside.rows(made)))
    assert list(answer.findings) == []
    assert {each.name for each in answer.symptoms} <= {names.TRIES, names.ATTEMPTS}
    assert answer.symptoms
    assert answer.symptoms[0].time == "retry_wait"
    assert outside_causes.right(group_json.as_object(answer), [])
