"""Long ids by their beginnings: asked for, and shown where a line has no room for the whole."""

from __future__ import annotations

import itertools
import json
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gentrace.analysis import ids
from tests.cli.conftest import Gentrace
from tests.core import traces
from tests.core.traces import MINUTE_NS, START

IDS = [
    "b679a443-a815-4b93-b756-447d20f36e67",
    "b679a443-f815-4b93-b756-447d20f36e67",
    "3e2186f4-81f3-4cc5-be2b-3467456eaf5c",
]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    made = [traces.failed(id_, id_, START + n * MINUTE_NS) for n, id_ in enumerate(IDS)]
    return traces.write(tmp_path / "spool" / "spans-a.jsonl", traces.completed(), *made)


def shown(out: str) -> str:
    return json.loads(out)["generation"]["id"]


@pytest.mark.usefixtures("spool")
@pytest.mark.parametrize(
    "asked", ["3e21", "3E2186F4", "3e2186f481f3", "3e2186f4-81f3-4cc5-be2b-34"]
)
def test_one_beginning_is_as_good_as_the_id(gentrace: Gentrace, asked: str) -> None:
    code, out, said = gentrace("show", asked, "--json")
    assert (code, said, shown(out)) == (0, "", IDS[2])
    code, out, _ = gentrace("compare", "28", asked, "--json")
    assert (code, json.loads(out)["b"]["id"]) == (0, IDS[2])
    code, out, _ = gentrace("list", asked, "--json")
    assert (code, [row["id"] for row in json.loads(out)["generations"]]) == (0, [IDS[2]])


@pytest.mark.usefixtures("spool")
def test_where_several_begin_so_they_are_named(gentrace: Gentrace) -> None:
    for command in (["show", "b679"], ["compare", "28", "b679a443"]):
        code, out, said = gentrace(*command)
        assert (code, out) == (2, "")
        assert "2 generations begin so" in said
        assert IDS[0] in said
        assert IDS[1] in said
    _, out, _ = gentrace("list", "b679", "28", "--json")
    assert {row["id"] for row in json.loads(out)["generations"]} == {*IDS[:2], "28"}


@pytest.mark.usefixtures("spool")
def test_what_no_id_begins_with(gentrace: Gentrace) -> None:
    assert gentrace("show", "2")[0] == 4  # of the number 28 that is no beginning
    assert gentrace("show", "3e2")[0] == 4  # too few to mean one
    assert gentrace("show", "beef")[0] == 4
    code, _, said = gentrace("list", "beef")
    assert (code, "no generation here is beef, and no long id begins so" in said) == (0, True)


@pytest.mark.usefixtures("spool")
def test_a_generation_wins_over_a_trace_that_begins_alike(
    gentrace: Gentrace, tmp_path: Path
) -> None:
    digits = traces.trace_id("28")
    traces.write(
        tmp_path / "spool" / "spans-b.jsonl",
        traces.failed("other", str(uuid.UUID(digits[:8] + "0" * 24))),
    )
    code, out, said = gentrace("show", digits[:8], "--json")
    assert (code, shown(out)[:8]) == (0, digits[:8])
    assert f"trace:{digits[:8]} asks for that" in said


@pytest.mark.usefixtures("spool")
@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_list_shows_as_much_of_an_id_as_there_is_room_for(
    gentrace: Gentrace, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    _, out, _ = gentrace("list")
    if width == 160:
        assert all(id_ in out for id_ in IDS)
        return
    lines = out.splitlines()
    first = [line.split()[0] for line in lines if not line.startswith((" ", "id"))]
    assert first == ["3e2186f4", "b679a443-f", "b679a443-a", "28"]
    for told, id_ in zip(first, [IDS[2], IDS[1], IDS[0], "28"], strict=True):
        assert shown(gentrace("show", told, "--json")[1]) == id_
    if width >= 80:  # what a cell holds stands on one line, or two
        heads = [n for n, line in enumerate(lines) if not line.startswith(" ")]
        assert max(b - a for a, b in itertools.pairwise(heads)) <= 4


@given(st.sets(st.uuids().map(str) | st.text("ab-", min_size=1, max_size=40), min_size=1))
def test_what_is_shown_of_an_id_leads_back_to_it(among: set[str]) -> None:
    for id_, told in ids.shortened(among).items():
        assert id_.startswith(told)
        others = {each.lower() for each in among if each != id_}
        if id_.lower() not in others and not any(o.startswith(id_.lower()) for o in others):
            assert not any(o.startswith(told.lower()) for o in others)
