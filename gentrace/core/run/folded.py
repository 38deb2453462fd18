"""What the events of a generation come to: its runs, and what was passed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gentrace.core.run.order import Placed
from gentrace.core.run.run import Run


@dataclass(slots=True)
class Folded:
    """What the events came to.

    Attributes:
        runs: in order; the last is the generation's current one.
        unknown: events that only another version knows.
        duplicates: events that were there more than once.
        upto: by process, the highest number of its steps.
        count: how many steps there were, with those that were compacted before.
    """

    runs: list[Run] = field(default_factory=list[Run])
    unknown: int = 0
    duplicates: int = 0
    upto: dict[str, int] = field(default_factory=dict[str, int])
    count: int = 0

    @property
    def current(self) -> Run | None:
        """The generation's current run."""
        return self.runs[-1] if self.runs else None

    def numbered(self, number: int) -> Run | None:
        """The last run of that number."""
        return next((run for run in reversed(self.runs) if run.number == number), None)


@dataclass(slots=True)
class SortedOut:
    """Events in their order, and the runs that were compacted before; ``upto`` is of these."""

    placed: list[Placed]
    found: Folded
    upto: Mapping[str, int]
