"""The fold beside the record that the store keeps today: told in order, both find the same run."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import given

from gentrace.core.run.events import Step
from gentrace.core.run.fold import fold
from gentrace.runtime.runs.apply import apply
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.record import Record
from gentrace.runtime.runs.status import Settling
from tests.core.run.stories import RULES, stories

OLD = Settling(RULES.outcomes, RULES.after_s, RULES.held)
SAME = ("trace", "parent", "status", "outcome", "facts", "counts", "beyond", "stage", "processes")


def change(step: Step) -> Change:
    shared = {each.name for each in fields(Change)} & {each.name for each in fields(Step)}
    told: dict[str, Any] = {name: getattr(step, name) for name in shared}
    told["opened"] = ()
    return Change(**told, seq=step.n)


@given(story=stories())
def test_told_in_order_both_find_the_same(story: list[Step]) -> None:
    records: list[Record] = []
    record: Record | None = None
    for step in story:
        done = apply(record, "g", change(step), OLD)
        if done.before is not None:
            records.append(done.before)
        record = done.record
    assert record is not None
    records.append(record)
    runs = fold(story, RULES).runs
    assert [run.number for run in runs] == [each.number for each in records]
    for run, known in zip(runs, records, strict=True):
        times = known.ledger.times()
        assert run.times.spent_ns == times.spent_ns
        assert (run.times.state, run.ended_ns) == (times.state, known.ended_ns)
        for name in SAME:
            assert getattr(run, name) == getattr(known, name), name
        stays = [(s.state, s.start_ns, s.end_ns) for s in known.ledger.stays()]
        assert [(s.state, s.start_ns, s.end_ns) for s in run.stays if s.nth <= 1] == [
            s for s in _joined(stays) if _first(s, _joined(stays))
        ] or len(known.ledger.events) >= 17


def _joined(stays: list[tuple[Any, int, int]]) -> list[tuple[Any, int, int]]:
    found: list[tuple[Any, int, int]] = []
    for state, start, end in stays:
        if found and found[-1][0] is state and found[-1][2] == start:
            found[-1] = (state, found[-1][1], end)
        else:
            found.append((state, start, end))
    return found


def _first(stay: tuple[Any, int, int], stays: list[tuple[Any, int, int]]) -> bool:
    return next(each for each in stays if each[0] is stay[0]) == stay
