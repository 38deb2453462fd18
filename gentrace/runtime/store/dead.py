"""Closes what processes that went without a word had open, and ends what they were about to end.

A process that has given no sign of life for :data:`DEAD_AFTER_S`, by Redis's own clock, is gone.
Its spans that others hang something under are written in its place; then its death is appended to
those runs, and the fold makes of it what it means.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from gentrace.core.run import events
from gentrace.core.run.events import Died
from gentrace.core.run.run import Run
from gentrace.runtime.store import keys, run_spans
from gentrace.runtime.store.find import read
from gentrace.runtime.store.settle import Emit
from gentrace.runtime.store.store import REGULAR_S, RunStore

DEAD_AFTER_S = 50.0
AWAY_S = 20.0
_BURYING_S = 30
_REMEMBERED_S = 24 * 3600


class Undertaker:
    """Looks after the dead; works on the store's thread."""

    def __init__(self, store: RunStore, emit: Emit) -> None:
        self.store, self._emit, self.key = store, emit, store.key
        self._looked_s = self._since_s = 0.0
        store.regular.append(self.bury)

    def bury(self, client: Any) -> float:
        """Close what processes without a sign of life for :data:`DEAD_AFTER_S` had open."""
        key, now = self.key, time.time()
        if self._was_away(now):
            return REGULAR_S
        gone: list[tuple[str, float]] = client.zrangebyscore(
            key.processes, "-inf", now - DEAD_AFTER_S, withscores=True
        )
        for instance, last_s in gone:
            left_ms = int(client.pttl(key.process(instance)))
            if left_ms > (keys.BEAT_TTL_S - DEAD_AFTER_S) * 1000:
                continue  # by Redis's own clock it lives: its clock and ours differ
            if client.set(key.died(instance), self.store.instance(), nx=True, ex=_BURYING_S):
                self.bury_one(client, instance, round(last_s * 1e9))
        return REGULAR_S

    def _was_away(self, now: float) -> bool:
        """Redis was away, or we were: others had no chance yet to say that they live."""
        if not 0 <= now - self._looked_s <= AWAY_S + REGULAR_S:
            self._since_s = now
        self._looked_s = now
        return bool(now - self._since_s < AWAY_S)

    def bury_one(self, client: Any, instance: str, last_ns: int) -> None:
        """Write what it left, and only then strike it out: this process may die, too."""
        left: list[tuple[str, Run]] = []
        for generation_id in client.smembers(self.key.open(instance)):
            folded = read(client, self.key, generation_id, self.store.rules).folded
            left += [(generation_id, run) for run in folded.runs if instance in run.holders()]
        made = [
            run_spans.stand_in(generation_id, run, span, last_ns)
            for generation_id, run in left
            if run.flags & 1 and run.trace
            for span in run.left_by(instance)
        ]
        ends = {generation_id: instance in run.coming for generation_id, run in left}

        def struck(client: Any) -> None:
            if client is not None:
                self._strike_out(client, instance, last_ns, ends)

        waiting = _All(len(made), lambda: self.store.thread.ask(struck))
        for span in made:
            self._emit(span, waiting.done)
        if not made:
            self._strike_out(client, instance, last_ns, ends)

    def _strike_out(self, client: Any, instance: str, last_ns: int, ends: dict[str, bool]) -> None:
        key, text = self.key, events.dump(Died(instance, last_ns))
        now_s = self.store.now_s()
        pipe = client.pipeline(transaction=False)
        for generation_id, was_ending in ends.items():
            if was_ending:
                pipe.zadd(key.settling, {generation_id: now_s}, nx=True)
            pipe.rpush(key.events(generation_id), text)
        pipe.delete(key.open(instance))
        pipe.zrem(key.processes, instance)
        pipe.zadd(key.deaths, {instance: last_ns / 1e9})
        pipe.expire(key.deaths, _REMEMBERED_S)
        pipe.execute()
        if any(ends.values()):
            self.store.thread.hurry(0.05)


class _All:
    """Calls back once so many spans were taken; not where one was refused."""

    def __init__(self, count: int, then: Callable[[], None]) -> None:
        self._left, self._then, self._lock = count, then, threading.Lock()

    def done(self, success: bool) -> None:
        with self._lock:
            self._left -= success
            if not success or self._left:
                return
        self._then()
