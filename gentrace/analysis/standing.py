"""A run that goes on: what it is doing at a moment, since when, and where its time went until then.

A source's last word of a run may be old. Nothing has been told since, so the run is counted as in
the state that it was in then: a wait that was due in the meantime has become queueing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gentrace.analysis import timeline
from gentrace.analysis.runs import Run
from gentrace.core.times import Event, Kind, State, Times


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands at one moment.

    Attributes:
        state: what it is doing; None for a run that has ended.
        since_ns: since when it is in that state, Unix ns.
        due_ns: when that wait is over; 0 where none is, or it is not known.
        spent_ns: nanoseconds in each state until then.
    """

    state: State | None
    since_ns: int
    due_ns: int
    spent_ns: Mapping[State, int]


@dataclass(slots=True)
class _Dated(Times):
    """A machine that also keeps when it came into its state."""

    entered_ns: int = 0
    found_since_ns: int = 0

    def step(self, event: Event) -> None:
        before, since_ns = self.state, self.entered_ns
        goes_on = event.kind is Kind.NO_CHANGE and self.found is not None
        found, found_since_ns = self.found, self.found_since_ns
        Times.step(self, event)
        if event.kind is Kind.JOB_STARTED:
            self.found_since_ns = since_ns
        if goes_on and self.state is found:
            self.entered_ns = found_since_ns  # it was in that state all the while
        elif self.state is not before:
            self.entered_ns = self.since_ns
        if self.state is State.PROVIDER_RUN:
            self.entered_ns = self.provider_ns or self.entered_ns

    def advance(self, at_ns: int) -> None:
        before, due_ns, since_ns = self.state, self.due_ns, self.since_ns
        Times.advance(self, at_ns)
        if self.state is not before:
            self.entered_ns = max(due_ns, since_ns)


def standing(run: Run, at_ns: int = 0) -> Standing:
    """How the run stands.

    Args:
        at_ns: Unix ns; before the run's last sign of life, and 0, mean that.
    """
    times = run.times
    if run.state is None or run.parts.run is not None:
        return Standing(run.state, times.since_ns, 0, times.spent_ns)
    machine = _Dated()
    timeline.derived(run.parts, into=machine)
    if at_ns > machine.since_ns:
        machine.advance(at_ns)
    return Standing(machine.state, machine.entered_ns, machine.due_ns, machine.spent_ns)
