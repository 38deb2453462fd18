"""Every spelling of every target: found in the source by doctor, and hooked when it runs."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from gentrace.core import targets
from gentrace.runtime.session import HOOKS
from tests.support import fresh, spellings
from tests.support.spellings import LOOK, PROFILE, Place

ROUNDS = spellings.rounds()
NEWEST = PROFILE.packages[0]


def look_at(folder: Path, places: list[Place]) -> tuple[dict[str, Any], list[Any]]:
    """Imports the places hooked, in an interpreter of their own: the report, and what they are."""
    asked = [(p.module, p.qualname, p.functions) for p in places]
    program = f"""{LOOK}
    async def main():
        seen = [await look(*place) for place in json.loads({json.dumps(asked)!r})]
        session = startup.session()
        report = {{row["name"]: row["state"] for row in session.patcher.report()}}
        print(json.dumps([report, seen, swallowed]))

    asyncio.run(main())
"""
    done = fresh.run(program, folder)
    report, seen, swallowed = json.loads(done.stdout)
    assert swallowed == []
    return report, seen


@pytest.mark.parametrize("number", range(len(ROUNDS)))
def test_a_checkout_that_has_one_spelling_of_each_target(tmp_path: Path, number: int) -> None:
    places = ROUNDS[number]
    spellings.write(tmp_path / "checkout", places)
    found = {r.target.name: r for r in targets.resolve(PROFILE, tmp_path / "checkout")}
    for place in places:
        resolved = found[place.target.name]
        assert resolved.state == targets.RESOLVED
        assert resolved.spelling == f"{place.module}:{place.qualname}"
        assert resolved.kind == place.kind
        assert resolved.problems == ()
        assert {m.name for m in resolved.methods} >= set(
            place.functions if place.target.methods else ()
        )
    report, seen = look_at(tmp_path, places)
    for place, functions in zip(places, seen, strict=True):
        assert report[place.target.name] == "patched"
        wrapped = int(place.target.role in HOOKS)
        is_async = place.is_async or bool(place.target.methods)
        assert functions == [[name, wrapped, is_async, name] for name in place.functions], place


def passing_on(defines: int) -> tuple[list[Place], list[Place], dict[str, set[str]]]:
    """The targets whose spellings differ in the module alone, defined at one of them.

    Returns:
        The places that define, those that only import, and the latter's lines.
    """
    here: list[Place] = []
    others: list[Place] = []
    imports: dict[str, set[str]] = defaultdict(set)
    for every in spellings.places().values():
        own = [p for p in every if p.module.startswith(NEWEST)]
        if len(own) < 2 or len({p.qualname for p in own}) > 1 or own[0].target.methods:
            continue
        definer = own[defines]
        here.append(definer)
        for place in own:
            if place is not definer:
                others.append(place)
                name = place.qualname.partition(".")[0]
                imports[place.module].add(f"from {definer.module} import {name}")
    return here, others, imports


@pytest.mark.parametrize("first", ["definers", "importers"])
@pytest.mark.parametrize("defines", [0, -1])
def test_a_function_that_two_spellings_reach_is_hooked_once(
    tmp_path: Path, defines: int, first: str
) -> None:
    here, others, imports = passing_on(defines)
    assert len(here) > 10
    spellings.write(tmp_path / "checkout", here, imports)
    found = {r.target.name: r for r in targets.resolve(PROFILE, tmp_path / "checkout")}
    for place in here:
        assert found[place.target.name].spelling == f"{place.module}:{place.qualname}"
    places = [*here, *others] if first == "definers" else [*others, *here]
    report, seen = look_at(tmp_path, places)
    for place, functions in zip(places, seen, strict=True):
        assert report[place.target.name] == "patched"
        wrapped = int(place.target.role in HOOKS)
        assert functions == [[name, wrapped, place.is_async, name] for name in place.functions]
