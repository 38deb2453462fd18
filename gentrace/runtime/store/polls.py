"""How often a run's provider was asked: counted by every process that polls, beside the events.

ARQ lets one worker of many run each tick of a cron, so that a run's polls are spread over them.
Each process writes its own, which waits for nobody and may be written twice. A field of the hash
``run:<generation id>``: ``polls:<number>-<trace>:<instance>/<n>``, JSON pairs of when (µs) and how
many until then, so that each wait for the provider has its own.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gentrace.runtime.context import Run
from gentrace.runtime.store.keys import Keys
from gentrace.runtime.store.stream import Stream

_MAX_RUNS = 4096
_MAX_PAIRS = 16


@dataclass(slots=True)
class _Total:
    """The polls of one run; ``name`` is its own, so that a total begun anew hides no other."""

    name: str
    pairs: list[list[int]] = field(default_factory=list[list[int]])

    def add(self, at_us: int) -> None:
        self.pairs.append([at_us, 1])
        if len(self.pairs) > _MAX_PAIRS:  # the older, the coarser
            merged = self.pairs[: _MAX_PAIRS // 2]
            halves = [[b[0], a[1] + b[1]] for a, b in zip(merged[::2], merged[1::2], strict=True)]
            self.pairs[: _MAX_PAIRS // 2] = halves


class PollCounts:
    """How often this process has asked, by run.

    Args:
        stream: writes it.
        instance: gives this process's id.
    """

    def __init__(self, stream: Stream, key: Keys, instance: Callable[[], str]) -> None:
        self._stream, self._key, self._instance = stream, key, instance
        self._numbers = itertools.count()
        self.forget()

    def forget(self) -> None:
        """Begin anew (a forked child is a process of its own)."""
        self._totals: OrderedDict[tuple[str, str], _Total] = OrderedDict()

    def add(self, run: Run) -> None:
        """One more poll of that run. Never waits."""
        if run.generation_id is None or run.parent is None:
            return
        of = run.generation_id, f"{run.number}-{run.trace_id:032x}"
        with self._stream.sender.lock:
            total = self._totals.get(of)
            if total is None:
                name = f"polls:{of[1]}:{self._instance()}/{next(self._numbers)}"
                total = self._totals[of] = _Total(name)
            self._totals.move_to_end(of)
            total.add(time.time_ns() // 1000 - self._stream.skew_ns // 1000)
            if len(self._totals) > _MAX_RUNS:
                self._totals.popitem(last=False)
            value = json.dumps(total.pairs, separators=(",", ":"))
        self._stream.command(of[0], "HSET", self._key.run(of[0]), total.name, value)


def polls_of(fields: Mapping[str, str], mark: str) -> list[tuple[int, int]]:
    """When (ns) that run's provider was asked and how often until then, by all processes."""
    found: list[tuple[int, int]] = []
    for name, value in fields.items():
        if name.startswith(f"polls:{mark}:"):
            try:
                found += [(int(us) * 1000, int(n)) for us, n in json.loads(value)]
            except (ValueError, TypeError):
                continue
    return found
