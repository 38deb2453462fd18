"""Writes the spans that only the store can: runs whose end is certain, waits, and the dead's.

A run whose final status has settled is taken under a lease, its span is handed to the exporter,
and only what the exporter took is marked as written; else, or when the process that took it is
gone, another process takes it again. The span's id is the same each time.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from opentelemetry.sdk.trace import ReadableSpan

from gentrace.runtime import notices
from gentrace.runtime.runs import keys, spans
from gentrace.runtime.runs.connection import is_outage
from gentrace.runtime.runs.leases import LEASE_S, Leases, redis_time
from gentrace.runtime.runs.record import Record
from gentrace.runtime.runs.store import REGULAR_S, RunStore
from gentrace.runtime.runs.writer import Written, member_of

AT_ONCE = 50
DEAD_AFTER_S = 50.0
AWAY_S = 20.0
_BURYING_S = 30
_MAX_KEPT = 1000
_REMEMBERED_S = 24 * 3600


class Emit(Protocol):
    """Takes a span that is over; ``done`` is told whether the exporter took it."""

    def __call__(self, span: ReadableSpan, done: Callable[[bool], None] | None = None) -> None: ...


class Settler:
    """Looks after the runs in the store; works on the store's thread."""

    def __init__(self, store: RunStore, emit: Emit) -> None:
        self.store, self._emit, self.leases = store, emit, Leases(store.writer)
        self._looked_s = self._since_s = 0.0
        self._ended: OrderedDict[str, Record] = OrderedDict()
        store.on_written.append(self._written)
        store.regular += [self.settle, self.bury]

    def _written(self, written: Written) -> None:
        record = written.record
        if record.flags & 1:
            root = spans.root_span(record) if written.begun else None
            if root is not None:
                self._emit(root)
            for span in spans.wait_spans(record, written.waits, written.polls):
                self._emit(span)
        due_ns = record.due_ns(self.store.writer.rules)
        if due_ns:
            self._ended[member_of(record)] = record
            while len(self._ended) > _MAX_KEPT:
                self._ended.popitem(last=False)
            self.store.thread.hurry(max(0.0, due_ns / 1e9 - time.time()) + 0.01)

    def settle(self, client: Any) -> float:
        """Take what is due; returns the seconds until the next may be."""
        key, now = self.store.key.settling, redis_time(client)
        self._restore(client, now)
        due: list[str] = client.zrangebyscore(key, "-inf", now, start=0, num=AT_ONCE)
        for member in due:
            self._take(client, member, now)
        if len(due) == AT_ONCE:
            return 0.05
        first: list[tuple[str, float]] = client.zrangebyscore(
            key, f"({now}", "+inf", start=0, num=1, withscores=True
        )
        return max(0.05, first[0][1] - now + 0.01) if first else REGULAR_S

    def _take(self, client: Any, member: str, now: float) -> None:
        """One of those that are due; one that cannot be taken does not hold up the others."""
        try:
            record = self.leases.claim(client, member, now)
            if record is not None:
                self._write(client, record)
        except Exception as exc:
            if is_outage(exc):
                raise
            notices.swallowed("a run's span", exc)
            client.zadd(self.store.key.settling, {member: now + LEASE_S})

    def _restore(self, client: Any, now: float) -> None:
        """Put back what ended here and is due, where Redis has lost it since (FLUSHALL)."""
        rules = self.store.writer.rules
        for member, record in list(self._ended.items()):
            if record.due_ns(rules) / 1e9 <= now:
                self.leases.restore(client, record)
                self._ended.pop(member, None)

    def _write(self, client: Any, record: Record) -> None:
        if not record.flags & 1:
            self.leases.confirm(client, record, True)  # not sampled: there is no span
            return

        def done(success: bool) -> None:
            self.store.thread.ask(
                lambda client: client and self.leases.confirm(client, record, success)
            )

        self._emit(spans.run_span(record), done)

    def bury(self, client: Any) -> float:
        """Close what processes without a sign of life for :data:`DEAD_AFTER_S` had open."""
        key, now = self.store.key, time.time()
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
                self._bury_one(client, instance, round(last_s * 1e9))
        return REGULAR_S

    def _was_away(self, now: float) -> bool:
        """Redis was away, or we were: others had no chance yet to say that they live."""
        if not 0 <= now - self._looked_s <= AWAY_S + REGULAR_S:
            self._since_s = now
        self._looked_s = now
        return bool(now - self._since_s < AWAY_S)

    def _bury_one(self, client: Any, instance: str, last_ns: int) -> None:
        """Write what it left, and only then strike it out: this process may die, too."""
        self._write_told(client, instance)
        left = [
            (record, record.left_by(instance))
            for generation_id in client.smembers(self.store.key.open(instance))
            if (record := self.store.writer.read(client, generation_id)) is not None
        ]
        made = [
            spans.stand_in(record, span, last_ns)
            for record, opened in left
            if record.flags & 1
            for span in opened
        ]
        runs = [record.generation_id for record, _ in left]

        def struck(client: Any) -> None:
            if client is not None:
                self._strike_out(client, instance, last_ns, runs)

        waiting = _All(len(made), lambda: self.store.thread.ask(struck))
        for span in made:
            self._emit(span, waiting.done)
        if not made:
            self._strike_out(client, instance, last_ns, runs)

    def _write_told(self, client: Any, instance: str) -> None:
        """Write the changes that it had told and not written yet."""
        writer = self.store.writer
        for generation_id, told in self.store.journal.told_by(client, instance):
            try:
                if changes := writer.missing(client, generation_id, told):
                    writer.write(client, generation_id, changes)
            except Exception as exc:
                if is_outage(exc):
                    raise
                notices.swallowed("journal", exc)

    def _strike_out(self, client: Any, instance: str, last_ns: int, runs: list[str]) -> None:
        key = self.store.key
        for generation_id in runs:
            self.store.writer.bury(client, generation_id, instance, last_ns)
        pipe = client.pipeline()
        pipe.delete(key.open(instance), key.journal(instance))
        pipe.zrem(key.processes, instance)
        pipe.zadd(key.deaths, {instance: last_ns / 1e9})
        pipe.expire(key.deaths, _REMEMBERED_S)
        pipe.execute()


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
