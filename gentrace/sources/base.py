"""The one interface over every store of spans, and what a search is given and gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gentrace.core.spans import Trace


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in Unix ns; 0 is open at that side."""

    since_ns: int = 0
    until_ns: int = 0

    def holds(self, at_ns: int) -> bool:
        """Whether that moment lies in it, both ends included."""
        return self.since_ns <= at_ns and (not self.until_ns or at_ns <= self.until_ns)

    def meets(self, start_ns: int, end_ns: int) -> bool:
        """Whether something that went on from start to end overlaps it."""
        return end_ns >= self.since_ns and (not self.until_ns or start_ns <= self.until_ns)


ALWAYS = Window()


@dataclass(frozen=True, slots=True)
class Found:
    """Traces, oldest first; ``truncated`` says that the store held more than it gave."""

    traces: Sequence[Trace]
    truncated: bool = False


class Source(Protocol):
    """A store of spans. Every method may raise SourceError (exit code 3).

    A trace is given whole wherever the store can. A window is a hint that saves reading: a store
    may give traces that lie partly or wholly outside it.
    """

    @property
    def description(self) -> str:
        """What is read, for messages: "the spool FOLDER"."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know of the reading so far (damaged lines), each once."""
        ...

    @property
    def looked_at(self) -> str:
        """What a search that found nothing went through, for messages: "12 traces"."""
        ...

    def traces(self, window: Window = ALWAYS) -> Found:
        """The traces with a span in the window."""
        ...

    def trace(self, trace_id: str) -> Sequence[Trace]:
        """The trace of that id (32 hex digits), or all whose id starts so (8 to 31)."""
        ...

    def by_generation(self, generation_id: str, window: Window = ALWAYS) -> Found:
        """The traces with a span of that generation."""
        ...

    def by_attribute(self, name: str, value: str, window: Window = ALWAYS) -> Found:
        """The traces with a span that carries that attribute, compared as text."""
        ...

    def goes_on(self, at_ns: int) -> bool:
        """Whether the store tells of anything that began after that moment."""
        ...

    def is_empty(self) -> bool:
        """Nothing was ever stored there."""
        ...
