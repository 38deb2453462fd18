"""Random stories of a generation, as several processes tell them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from gentrace.core import names
from gentrace.core.run.events import OpenSpan, Step
from gentrace.core.run.rules import Settling
from gentrace.core.run.times import Event, Kind

RULES = Settling(
    {word: word for word in ("completed", "failed", "cancelled")},
    {"failed": 2.0, "cancelled": 2.0, "completed": 0.5},
    frozenset({"paused"}),
)
TRACE, PARENT = f"{7:032x}", f"{1:016x}"
START_NS = 1_700_000_000 * 10**9
STATUSES = ("pending", "processing", "paused", "failed", "cancelled", "completed")
_EVENTS = [kind for kind in Kind if kind not in (Kind.RECEIVED, Kind.ENDED, Kind.PUT_BACK)]


def step(who: str, n: int, at_ns: int, **told: Any) -> Step:
    """A step of a run whose trace is known."""
    return Step(who, n, at_ns, told.pop("trace", TRACE), PARENT, number=1, **told)


@st.composite
def stories(draw: st.DrawFn, most: int = 25) -> list[Step]:
    """A creation and what follows it, in the order in which it happened; no two at one moment."""
    told = [step("api", 1, START_NS, events=(Event(Kind.RECEIVED, START_NS),), root="aa" * 8)]
    at_ns, numbers = START_NS, {"api": 1, "w1": 0, "w2": 0}
    attempts = 0
    for _ in range(draw(st.integers(0, most))):
        at_ns += draw(st.integers(1, 900)) * 1_000_000
        who = draw(st.sampled_from(sorted(numbers)))
        numbers[who] += 1
        what = draw(st.sampled_from(["event", "event", "status", "facts", "open", "coming"]))
        more: dict[str, Any] = {}
        if what == "event":
            kind = draw(st.sampled_from(_EVENTS))
            attempts += kind is Kind.SUBMITTING
            counts = {names.TRIES: 1} if kind is Kind.JOB_STARTED else {}
            if kind is Kind.SUBMITTING:
                counts = {names.ATTEMPTS: 1}
            more = {"events": (Event(kind, at_ns),), "counts": counts}
            if kind is Kind.ENQUEUED:
                more["enqueued"] = "process_generation"
        elif what == "status":
            more = {"status": draw(st.sampled_from(STATUSES))}
        elif what == "facts":
            more = {"facts": {names.MODEL: draw(st.sampled_from(["a", "b", None]))}}
        elif what == "open":
            span = OpenSpan(f"{at_ns:016x}"[-16:], "job", "", at_ns, 4, who)
            more = {"opened": (span,)}
        else:
            more = {"coming": draw(st.sampled_from(["failed", "completed"]))}
        told.append(step(who, numbers[who], at_ns, **more))
    return told


def shifted(told: list[Step], by_ns: int) -> list[Step]:
    """The same some time later."""
    return [
        replace(
            each,
            at_ns=each.at_ns + by_ns,
            events=tuple(replace(e, at_ns=e.at_ns + by_ns) for e in each.events),
        )
        for each in told
    ]
