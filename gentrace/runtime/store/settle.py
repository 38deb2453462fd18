"""Writes the spans of runs whose end is certain: the run's own, its waits, the root it needs.

A generation whose run's final status has settled is taken under a lease, read and folded, its spans
are handed to the exporter, and only what the exporter took is appended as written; else, or when
the process that took it is gone, another process takes it again. The ids are the same each time.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from opentelemetry.sdk.trace import ReadableSpan

from gentrace.core import names
from gentrace.core.run import events
from gentrace.core.run.events import Written
from gentrace.core.run.run import Run, root_id, trace_of
from gentrace.runtime import notices
from gentrace.runtime.store import keys, run_spans
from gentrace.runtime.store.connection import is_outage
from gentrace.runtime.store.find import Stored, read
from gentrace.runtime.store.polls import polls_of
from gentrace.runtime.store.store import REGULAR_S, RunStore

AT_ONCE = 50
LEASE_S = 30.0
AGAIN_S = 5.0
TOLD_S = 20.0
"""So long the others have to tell what they know, where the beginning of a run is missing."""
LATER_S = 60.0


class Emit(Protocol):
    """Takes a span that is over; ``done`` is told whether the exporter took it."""

    def __call__(self, span: ReadableSpan, done: Callable[[bool], None] | None = None) -> None: ...


class Settler:
    """Looks after the runs that end; works on the store's thread."""

    def __init__(self, store: RunStore, emit: Emit) -> None:
        self.store, self._emit = store, emit
        self.key = store.key
        self._told: deque[float] = deque(maxlen=AT_ONCE)
        store.on_end.append(self._ended)
        store.regular.append(self.settle)

    def _ended(self, _generation_id: str, due_ns: int) -> None:
        """This process tells of an end: it may be on its way yet when others are looked for."""
        self._told.append(due_ns / 1e9 - self.store.stream.offset_s)
        self.store.thread.hurry(max(0.0, due_ns / 1e9 - time.time()) + 0.01)

    def settle(self, client: Any) -> float:
        """Take what is due; returns the seconds until the next may be."""
        key, now_s = self.key.settling, self.store.now_s()
        found: list[tuple[str, float]] = client.zrangebyscore(
            key, "-inf", now_s + REGULAR_S, start=0, num=AT_ONCE, withscores=True
        )
        due = [member for member, at_s in found if at_s <= now_s]
        taken = sum(self._take(client, generation_id, now_s) for generation_id in due)
        if len(due) == AT_ONCE and taken:
            return 0.05
        later = [at_s - now_s + 0.01 for _, at_s in found if at_s > now_s]
        later += [at_s - now_s + 0.01 for at_s in list(self._told) if at_s > now_s - 0.2]
        waits = [1.0] if len(due) > taken else []  # another has it, and may be gone
        return max(0.05, min([REGULAR_S, *later, *waits]))

    def _take(self, client: Any, generation_id: str, now_s: float) -> bool:
        """One of those that are due; one that cannot be taken does not hold up the others."""
        word = f"{self.store.instance()}:{random.SystemRandom().getrandbits(32):08x}"
        lease_ms = round(LEASE_S * 1000)
        if not client.set(self.key.lease(generation_id), word, nx=True, px=lease_ms):
            return False
        try:
            again_s = self._write(client, generation_id, now_s)
        except Exception as exc:
            if is_outage(exc):
                raise
            notices.swallowed("a run's span", exc)
            client.zadd(self.key.settling, {generation_id: now_s + LEASE_S})
            return True
        if again_s is not None:
            self._later(client, generation_id, again_s)
        return True

    def _later(self, client: Any, generation_id: str, at_s: float) -> None:
        """Give it back until then."""
        pipe = client.pipeline(transaction=False)
        pipe.zadd(self.key.settling, {generation_id: at_s})
        pipe.delete(self.key.lease(generation_id))
        pipe.execute()

    def _write(self, client: Any, generation_id: str, now_s: float) -> float | None:
        """Hand on what is certain; gives when to look again, None where that is the exporter's."""
        stored = read(client, self.key, generation_id, self.store.rules)
        if not stored.folded.runs:
            return self._forget(client, generation_id, stored)
        dues = [(run, run.due_ns(self.store.rules) / 1e9) for run in stored.folded.runs]
        dues = [(run, due_s) for run, due_s in dues if due_s]
        if not dues:
            return now_s + LATER_S  # taken back
        run, due_s = dues[0]
        if names.NO_STORE in run.incomplete or not run.trace:
            due_s += TOLD_S
        emptied_s = self.store.see_epoch(client)
        if run.times.start_ns / 1e9 < emptied_s:
            due_s = max(due_s, emptied_s + TOLD_S)
        if due_s > now_s:
            return due_s
        if not run.trace and self._adopt(client, generation_id, run):
            return self._forget(client, generation_id, stored)
        next_s = dues[1][1] if len(dues) > 1 else 0.0
        self._export(client, generation_id, run, stored, next_s)
        return None

    def _forget(self, client: Any, generation_id: str, stored: Stored) -> float | None:
        """There is no run: what is left of one that is over came late, and is counted."""
        self.store.too_late += stored.folded.count
        pipe = client.pipeline(transaction=False)
        pipe.zrem(self.key.settling, generation_id)
        pipe.zrem(self.key.live, generation_id)
        pipe.delete(self.key.lease(generation_id))
        if stored.folded.count:
            pipe.delete(self.key.events(generation_id))
        pipe.execute()
        return None

    def _adopt(self, client: Any, generation_id: str, run: Run) -> bool:
        """Give a run a trace of which nobody knows one; True where the run was over long since."""
        if client.exists(self.key.past(generation_id)):
            return True
        derived = trace_of(self.key.run(generation_id), run.ended_ns)
        field = f"trace:{run.number}"
        if not client.hsetnx(self.key.run(generation_id), field, derived):
            derived = str(client.hget(self.key.run(generation_id), field))
        run.trace, run.root = derived, root_id(derived)
        run.reopened_by = run.status
        for missing in (names.NO_STORE, names.ADOPTED):
            if missing not in run.incomplete:
                run.incomplete.append(missing)
        return False

    def _export(
        self, client: Any, generation_id: str, run: Run, stored: Stored, next_s: float
    ) -> None:
        """Hand the run's spans on; ``next_s`` is when the next run's are due, 0 where none is."""
        polls, was = polls_of(stored.fields, run.mark), (len(stored.texts), next_s)
        if not run.flags & 1:
            self._confirm(client, generation_id, run, was, True)  # not sampled: no span
            return
        root = run_spans.root_span(generation_id, run)
        if root is not None:
            self._emit(root)
        for span in run_spans.wait_spans(generation_id, run, polls):
            self._emit(span)

        def done(success: bool) -> None:
            self.store.thread.ask(
                lambda client: client and self._confirm(client, generation_id, run, was, success)
            )

        self._emit(run_spans.run_span(generation_id, run, polls), done)

    def _confirm(
        self, client: Any, generation_id: str, run: Run, was: tuple[int, float], success: bool
    ) -> None:
        """The exporter has taken the run's spans, or has not: then somebody tries again."""
        if not success:
            self._later(client, generation_id, self.store.now_s() + AGAIN_S)
            return
        pin = Written(self.store.instance(), run.number, run.trace, run.ended_ns, run.steps)
        key, run_key = self.key.events(generation_id), self.key.run(generation_id)
        pipe = client.pipeline(transaction=False)
        # Whoever tells of another end enters it first: what grew by more is entered once more
        pipe.zrem(self.key.settling, generation_id)
        pipe.rpush(key, events.dump(pin))
        pipe.set(self.key.past(generation_id), run.mark, ex=keys.PAST_TTL_S)
        pipe.expire(key, keys.ENDED_TTL_S)
        pipe.expire(run_key, keys.ENDED_TTL_S)
        pipe.delete(self.key.lease(generation_id))
        length, next_s = was
        if int(pipe.execute()[1]) == length + 1 and not next_s:
            return
        pipe.zadd(self.key.settling, {generation_id: next_s or self.store.now_s()})
        pipe.expire(key, keys.LIVE_TTL_S)
        pipe.expire(run_key, keys.LIVE_TTL_S)
        pipe.execute()
        self.store.thread.hurry(0.05)
