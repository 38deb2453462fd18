"""How often a run's provider was asked: counted by every process that polls, beside the record.

ARQ lets one worker of many run each tick of a cron, so that a run's polls are spread over them.
Each is one INCRBY, which needs nothing of the record and waits for nobody. Key:
``gentrace:<profile>:polls:<generation id>:<number>-<trace>``.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from gentrace.runtime.context import Run
from gentrace.runtime.runs import keys
from gentrace.runtime.runs.keys import Keys
from gentrace.runtime.runs.record import Record
from gentrace.runtime.runs.thread import MAX_WAITING, StoreThread

AGAIN_S = 5.0


class PollCounts:
    """The polls of this process that the store does not know yet.

    Args:
        thread: writes them; its changes come after the polls that were counted before them.
    """

    def __init__(self, thread: StoreThread, key: Keys) -> None:
        self._thread, self._key = thread, key
        self.forget()

    def forget(self) -> None:
        """Begin anew (a forked child is a process of its own)."""
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, run: Run) -> None:
        """One more poll of that run. Never waits."""
        if run.generation_id is None or run.parent is None:
            return
        of = run.generation_id, f"{run.number}-{run.trace_id:032x}"
        with self._lock:
            first = not self._counts
            if len(self._counts) < MAX_WAITING or of in self._counts:
                self._counts[of] += 1
            else:
                self._thread.drop(run.generation_id, 1)
        if first:
            self._thread.ask(self.write)

    def write(self, client: Any) -> float:
        """Tell Redis, on the store's thread; returns the seconds until it is tried again."""
        if client is None:
            return AGAIN_S
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return AGAIN_S
        try:
            if self._thread.too_full(client):
                for (generation_id, _), more in counts.items():
                    self._thread.drop(generation_id, more)
                return AGAIN_S
            pipe = client.pipeline(transaction=False)
            for (generation_id, mark), more in counts.items():
                pipe.incrby(self._key.polls(generation_id, mark), more)
                pipe.expire(self._key.polls(generation_id, mark), keys.LIVE_TTL_S)
            pipe.execute()
        except Exception:
            with self._lock:
                self._counts.update(counts)
            raise
        return AGAIN_S


def polls_of(client: Any, key: Keys, record: Record) -> int:
    """How often the run's provider was asked, by whatever process."""
    return int(client.get(key.polls(record.generation_id, record.mark)) or 0)
