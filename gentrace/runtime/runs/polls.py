"""How often a run's provider was asked: counted by every process that polls, beside the record.

ARQ lets one worker of many run each tick of a cron, so that a run's polls are spread over them.
Each process writes its own total, which needs nothing of the record, waits for nobody and may be
written twice. Key: the hash ``gentrace:<profile>:polls:<generation id>:<number>-<trace>``.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gentrace.runtime import notices
from gentrace.runtime.context import Run
from gentrace.runtime.runs import keys
from gentrace.runtime.runs.keys import Keys
from gentrace.runtime.runs.record import Record
from gentrace.runtime.runs.thread import MAX_WAITING, StoreThread

AGAIN_S = 5.0


@dataclass(slots=True)
class _Total:
    """The polls of one run; ``field`` is its own, so that a total begun anew hides no other."""

    field: str
    polls: int = 0
    written: bool = True


class PollCounts:
    """How often this process has asked, by run.

    Args:
        thread: writes it; its changes come after the polls that were counted before them.
        instance: gives this process's id.
    """

    def __init__(self, thread: StoreThread, key: Keys, instance: Callable[[], str]) -> None:
        self._thread, self._key, self._instance = thread, key, instance
        self._numbers = itertools.count()
        self.forget()

    def forget(self) -> None:
        """Begin anew (a forked child is a process of its own)."""
        self._lock = threading.Lock()
        self._totals: OrderedDict[tuple[str, str], _Total] = OrderedDict()
        self._asked = False

    def add(self, run: Run) -> None:
        """One more poll of that run. Never waits."""
        if run.generation_id is None or run.parent is None:
            return
        of = run.generation_id, f"{run.number}-{run.trace_id:032x}"
        with self._lock:
            total = self._totals.get(of)
            if total is None:
                total = self._totals[of] = _Total(f"{self._instance()}/{next(self._numbers)}")
            self._totals.move_to_end(of)
            total.polls, total.written = total.polls + 1, False
            if len(self._totals) > MAX_WAITING:
                (generation_id, _), oldest = self._totals.popitem(last=False)
                if not oldest.written:
                    self._thread.drop(generation_id, 1)
            ask, self._asked = not self._asked, True
        if ask:
            self._thread.ask(self.write)

    def write(self, client: Any) -> float:
        """Tell Redis, on the store's thread; returns the seconds until it is tried again."""
        with self._lock:
            self._asked = False
            new = [(of, t, t.polls) for of, t in self._totals.items() if not t.written]
        if client is None or not new:
            return AGAIN_S
        if self._thread.connection.too_full(client):
            for (generation_id, _), total, _ in new:
                total.written = True
                self._thread.drop(generation_id, 1)
            return AGAIN_S
        pipe = client.pipeline(transaction=False)
        for of, total, polls in new:
            pipe.hset(self._key.polls(*of), total.field, polls)
            pipe.expire(self._key.polls(*of), keys.LIVE_TTL_S)
        answers = pipe.execute(raise_on_error=False)
        for (of, total, polls), answer in zip(new, answers[::2], strict=True):
            if isinstance(answer, Exception):  # the key is somebody else's
                notices.swallowed("polls", answer)
                self._thread.drop(of[0], 1)
            with self._lock:
                total.written = total.polls == polls
        return AGAIN_S


def polls_of(client: Any, key: Keys, record: Record) -> int:
    """How often the run's provider was asked, by whatever process."""
    return sum(int(each) for each in client.hvals(key.polls(record.generation_id, record.mark)))
