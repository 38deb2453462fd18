"""Random stories told by two clocks, whose runs are written while they are still being told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gentrace.core import names
from gentrace.core.run.events import RunEvent, Step, Unknown, Written
from gentrace.core.run.fold import fold
from gentrace.core.run.run import Run
from gentrace.core.run.times import Event, Kind
from tests.core.run.stories import RULES, START_NS, step

MOVES = [kind for kind in Kind if kind not in (Kind.RECEIVED, Kind.ENDED, Kind.PUT_BACK)]


@dataclass(frozen=True)
class Said:
    """What one of the two says next; ``settles`` is whether what is due is written then."""

    teller: str
    after_ms: int
    event: Kind | None
    status: str
    settles: bool


said = st.builds(
    Said,
    st.sampled_from(["api", "worker"]),
    st.integers(-40, 400),
    st.none() | st.sampled_from(MOVES),
    st.sampled_from(["", "", "", "processing", "pending", "failed", "cancelled", "paused"]),
    st.booleans(),
)
QUICK = replace(RULES, after_s={"failed": 0.2, "cancelled": 0.2, "completed": 0.05})


class Exporter:
    """Takes what is due, one run after another, and says so when something more was told."""

    def __init__(self) -> None:
        self.written: list[Run] = []
        self._on_its_way: Run | None = None

    def take(self, events: list[RunEvent | Unknown]) -> bool:
        """Write the first that is due; False where none is."""
        due = [run for run in fold(events, QUICK).runs if run.due_ns(QUICK)]
        if self._on_its_way is None and due:
            self._on_its_way = due[0]
        return self._on_its_way is not None

    def says(self, events: list[RunEvent | Unknown]) -> None:
        """It has what it took."""
        run, self._on_its_way = self._on_its_way, None
        if run is not None:
            self.written.append(run)
            events.append(Written("w", run.number, run.trace, run.ended_ns, run.steps))


@settings(max_examples=300, deadline=None)
@given(story=st.lists(said, max_size=40), outcome=st.sampled_from(["completed", "failed"]))
def test_each_run_is_written_once(story: list[Said], outcome: str) -> None:
    events: list[RunEvent | Unknown] = [
        step("api", 1, START_NS, events=(Event(Kind.RECEIVED, START_NS),), root="aa" * 8)
    ]
    exporter, at_ns = Exporter(), START_NS
    for n, each in enumerate(story, 2):
        at_ns += each.after_ms * 1_000_000
        moves = () if each.event is None else (Event(each.event, at_ns),)
        told: Step = step(
            each.teller, n, at_ns, events=moves, status=each.status, counts={names.TRIES: 1}
        )
        events.append(told)
        if each.settles:
            exporter.says(events)
        else:
            exporter.take(events)
    at_ns += 10 * 10**9
    events.append(step("worker", len(story) + 2, at_ns, status=outcome))
    while exporter.take(events):
        exporter.says(events)
    written = exporter.written
    assert [run.number for run in written] == list(range(1, len(written) + 1))
    assert written[-1].outcome == outcome
    for run in written:
        assert sum(run.times.spent_ns.values()) == run.ended_ns - run.times.start_ns
    final = {run.mark: run for run in fold(events, QUICK).runs}
    assert [final[run.mark].ended_ns for run in written] == [run.ended_ns for run in written]
