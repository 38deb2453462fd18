"""The states of a run one after the other, from its spans; and whether the run span agrees."""

from __future__ import annotations

from dataclasses import dataclass, field

from gentrace.analysis import timeline
from gentrace.analysis.runs import Run
from gentrace.core.run.times import State, Times

# Below this the run span and the spans agree: their clocks and their moments are not the same.
_TOLERATED_NS, _TOLERATED_SHARE = 50_000_000, 0.02


@dataclass(frozen=True, slots=True)
class Stretch:
    """A while that a run spent in one state, Unix ns."""

    state: State
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A time that the run span and its spans tell differently."""

    state: State
    told_ns: int
    spans_ns: int


@dataclass(slots=True)
class _Recording(Times):
    """A machine that also keeps when it was in which state."""

    stretches: list[Stretch] = field(default_factory=list[Stretch])

    def _add(self, span_ns: int) -> None:
        if span_ns and self.state is not None:
            end_ns = self.since_ns + span_ns
            self.stretches.append(Stretch(self.state, self.since_ns, end_ns))
        Times._add(self, span_ns)


def stretches(run: Run) -> list[Stretch]:
    """In time order and without a hole, as far as the run's spans know; none after its end."""
    machine = _Recording()
    timeline.derived(run.parts, into=machine)
    end_ns = run.start_ns + run.times.total_ns
    return [
        Stretch(each.state, each.start_ns, min(each.end_ns, end_ns))
        for each in machine.stretches
        if each.start_ns < end_ns
    ]


def disagreements(run: Run, found: list[Stretch]) -> list[Disagreement]:
    """Which times of the run span its other spans do not bear out; none where it has no times."""
    if not timeline.tells_times(run.parts):
        return []
    told = run.times.spent_ns
    spans = dict.fromkeys(State, 0)
    for stretch in found:
        spans[stretch.state] += stretch.end_ns - stretch.start_ns
    allowed = max(_TOLERATED_NS, round(run.times.total_ns * _TOLERATED_SHARE))
    return [
        Disagreement(state, told.get(state, 0), spans[state])
        for state in State
        if abs(told.get(state, 0) - spans[state]) > allowed
    ]
