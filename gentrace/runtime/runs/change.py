"""What one process saw of a run, as it is told to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gentrace.core.times import Event
from gentrace.runtime.runs.record import OpenSpan


@dataclass(frozen=True, slots=True)
class Change:
    """What one process saw of a run.

    Attributes:
        instance: the process, and ``seq`` which of its changes this is: applied once only. Those
            that do not count (0) may be applied again.
        trace, parent: the run's trace and the span that later work hangs under (hex); empty
            where the process does not know them.
        number: which run of the generation, 0 for the current one.
        events: what moves the times.
        facts: attributes of the run span; a None takes one back.
        counts: attributes of the run span that count, and by how much they grow.
        stage: how far the run got by this, one of :data:`STAGES`.
        status: a status that was committed, at ``at_ns``.
        coming: a final status that is about to be committed.
        not_coming: ... and will not be after all.
        opened, closed: spans that began, and ids of spans that ended.
        root: the span that the run span hangs under.
        enqueued: the function whose job was put on a queue.
        anchor: span that the coming wait hangs under.
        executed: span of the submission that the wait for the provider hangs under.
        polled: the provider's job whose status was read.
        adopted: the process had to begin the run without knowing its creation.
        existing_only: nothing is begun by this.
        buried: a process that died: it will commit nothing any more.
    """

    instance: str
    seq: int
    at_ns: int
    trace: str = ""
    parent: str = ""
    flags: int = 1
    number: int = 0
    events: tuple[Event, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    stage: str = ""
    status: str = ""
    coming: str = ""
    not_coming: bool = False
    incomplete: tuple[str, ...] = ()
    links: tuple[tuple[str, str, str], ...] = ()
    opened: tuple[OpenSpan, ...] = ()
    closed: tuple[str, ...] = ()
    enqueued: str = ""
    root: str = ""
    anchor: str = ""
    executed: str = ""
    polled: str = ""
    adopted: bool = False
    existing_only: bool = False
    buried: str = ""
