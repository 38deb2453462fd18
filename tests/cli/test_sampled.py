"""A generation that a sampler left out: who is told so, and what to set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gentrace.core import names
from tests.cli.conftest import Gentrace
from tests.cli.test_doctor import records, started
from tests.core import traces

RATIO = "ParentBased{root:TraceIdRatioBased{0.1}}"
SAID = f"({RATIO}) keeps 10 % of the generations and leaves out the others"
SET = "OTEL_TRACES_SAMPLER=always_on"


def spool(folder: Path, by: str, sampler: str) -> None:
    made = [traces.completed()]
    if by == "record":
        records(folder, sampler=sampler)
    else:
        made += [started(role, {names.SAMPLER: sampler}) for role in ("api", "worker")]
    traces.write(folder / "spans-a.jsonl", *made)


@pytest.mark.parametrize("by", ["record", "start-up span"])
@pytest.mark.parametrize("asked", [["show", "77"], ["show", "provider:9"], ["compare", "28", "77"]])
def test_who_asks_for_one_is_told(ask: Gentrace, tmp_path: Path, by: str, asked: list[str]) -> None:
    spool(tmp_path / "spool", by, RATIO)
    code, out, said = ask(*asked)
    assert (code, out) == (4, "")
    assert "It may not have been sampled: the sampler of" in said
    assert SAID in said
    assert SET in said


@pytest.mark.parametrize("by", ["record", "start-up span"])
def test_where_all_are_kept_no_sampler_is_named(ask: Gentrace, tmp_path: Path, by: str) -> None:
    spool(tmp_path / "spool", by, "")
    code, _, said = ask("show", "77")
    assert (code, "sampl" in said) == (4, False)


def test_doctor_remarks_it_and_a_list_without_any_says_it(ask: Gentrace, tmp_path: Path) -> None:
    spool(tmp_path / "spool", "record", RATIO)
    code, out, _ = ask("doctor", "--json")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["code"], problem["serious"]) == (0, "sampled", False)
    assert SAID in problem["summary"]
    assert SET in problem["fix"]
    assert SAID in ask("list", "77")[2]
    assert SAID not in ask("list")[2]


def test_nothing_at_all_was_sampled(ask: Gentrace, tmp_path: Path) -> None:
    told: dict[str, Any] = {"sampler": "AlwaysOffSampler"}
    records(tmp_path / "spool", **told)
    for asked, code in (["show", 4], ["list", 0], ["slow", 3]):
        found = ask(str(asked))
        assert (found[0], "(AlwaysOffSampler) leaves out every generation" in found[2]) == (
            code, True,
        )  # fmt: skip
        assert "nothing has been traced" not in found[2]
