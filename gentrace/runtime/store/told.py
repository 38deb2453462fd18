"""What this process has told of one generation, and the elements of its list that come of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gentrace.core.run import events
from gentrace.core.run.events import OpenSpan, Step
from gentrace.runtime.store.keys import LIVE_TTL_S, Keys
from gentrace.runtime.store.wire import packed


@dataclass(slots=True)
class Told:
    """A step that was told.

    Attributes:
        before: commands that go before it.
        only_existing: it begins no list.
        says_so: it says that something before it was lost.
    """

    step: Step
    body: str
    at_s: float
    before: bytes = b""
    commands: int = 0
    only_existing: bool = False
    says_so: bool = False


@dataclass(slots=True)
class Mine:
    """What this process has told of one generation.

    Attributes:
        sent: how many of them are on their way or there.
        taken: how many elements of the list are there.
        begun: the run's trace and number whose life in Redis this process has set.
        open: spans of this process that others would have to write, should it die, and what was
            told of them.
        is_entered: the generation stands among those with something open.
        is_named: the list has the process's service and machine.
        over_s: when the run's span was seen to be out, by the monotonic clock.
    """

    generation_id: str
    told: list[Told] = field(default_factory=list[Told])
    sent: int = 0
    taken: int = 0
    begun: str = ""
    open: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    is_named: bool = False
    is_entered: bool = False
    over_s: float = 0.0

    @property
    def bytes(self) -> int:
        """About how much room it takes."""
        return sum(len(told.body) + 200 for told in self.told)


def shortened(mine: Mine, step: Step) -> Step:
    """The step without what the list has of its spans."""
    if not step.opened:
        return step
    over = [span for span in step.opened if span.end_ns and span.span_id in mine.open]
    ended = tuple((s.span_id, s.end_ns, _news(mine, s)) for s in over)
    opened = [span for span in step.opened if span not in over]
    if mine.is_named:
        opened = [replace(span, service="", host={}) for span in opened]
    mine.is_named = mine.is_named or bool(opened)
    return replace(step, opened=tuple(opened), ended=(*step.ended, *ended))


def _news(mine: Mine, span: OpenSpan) -> dict[str, Any]:
    """What the list does not have of a span's attributes."""
    known = mine.open[span.span_id]
    return {name: value for name, value in span.attributes.items() if known.get(name) != value}


def batches(told: list[Told]) -> Iterator[str]:
    """The elements of the list that these steps make: those of one head together."""
    run: list[Told] = []
    for each in told:
        if run and events.head(each.step) != events.head(run[0].step):
            yield _batch(run)
            run = []
        run.append(each)
    if run:
        yield _batch(run)


def _batch(told: list[Told]) -> str:
    parent = next((each.step.parent for each in reversed(told) if each.step.parent), "")
    return events.batch(told[0].step, [each.body for each in told], parent)


def life(key: Keys, generation_id: str, told: list[Told], now_s: float) -> tuple[bytes, int]:
    """What a process says once of a run that it begins: its trace, and that it lives."""
    found, commands = packed("ZADD", key.live, "NX", now_s, generation_id), 1
    named = next((each.step for each in told if each.step.trace and each.step.number), None)
    if named is not None:
        field_, value = f"trace:{named.number}", named.trace
        verb = "HSET" if named.root and named.number == 1 and not named.adopted else "HSETNX"
        found += packed(verb, key.run(generation_id), field_, value)
        found += packed("SET", key.trace(value), generation_id, "EX", LIVE_TTL_S)
        commands += 2
    return found, commands
