"""What is looked after each minute: runs that nobody settles, lists that have become long.

A list whose run has ended and is not known to be due is entered again, what is out is let go, and
what was told too late for a run's span is counted.
"""

from __future__ import annotations

import random
import time
from typing import Any

from gentrace.core.run import events
from gentrace.core.run.events import Compact, Step
from gentrace.core.run.fold import compacted, traces_of
from gentrace.runtime import notices
from gentrace.runtime.store.connection import is_outage
from gentrace.runtime.store.find import read
from gentrace.runtime.store.keys import LIVE_TTL_S
from gentrace.runtime.store.settle import LEASE_S
from gentrace.runtime.store.store import REGULAR_S, RunStore

EVERY_S = 60.0
_AT_ONCE = 100
KEEP = 32


class Sweeper:
    """Looks after what lives in the store; works on the store's thread."""

    def __init__(self, store: RunStore) -> None:
        self.store, self.key = store, store.key
        self._next_s = time.monotonic() + EVERY_S
        self._asked: set[str] = set()
        store.regular.append(self.sweep)
        store.stream.long = self._is_long

    def sweep(self, client: Any) -> float:
        """Once a minute, by one of all processes; returns the seconds until the next time."""
        now = time.monotonic()
        if now < self._next_s:
            return REGULAR_S
        self._next_s = now + EVERY_S
        self._let_go(client)
        mine = self.store.instance()
        if client.set(self.key.sweep, mine, nx=True, px=round(EVERY_S * 900)):
            until_s = self.store.now_s() - EVERY_S
            for generation_id in client.zrangebyscore(
                self.key.live, "-inf", until_s, start=0, num=_AT_ONCE
            ):
                self._look_at(client, generation_id)
        return REGULAR_S

    def _let_go(self, client: Any) -> None:
        """What was told of runs that are out needs not be kept much longer."""
        kept = self.store.stream.kept()
        if not kept:
            self.store.stream.over(())
            return
        scores = client.zmscore(self.key.live, kept)
        self.store.stream.over(
            generation_id for generation_id, at in zip(kept, scores, strict=True) if at is None
        )

    def _look_at(self, client: Any, generation_id: str) -> None:
        try:
            stored = read(client, self.key, generation_id, self.store.rules)
        except Exception as exc:
            if is_outage(exc):
                raise
            notices.swallowed("run store", exc)
            client.zrem(self.key.live, generation_id)
            return
        current = stored.folded.current
        if current is None or current.written:
            for run in stored.folded.runs:
                if run.written:
                    self.store.too_late += max(0, run.steps - run.pinned_count)
            client.zrem(self.key.live, generation_id)
            return
        due_ns = current.due_ns(self.store.rules)
        pipe = client.pipeline(transaction=False)
        if due_ns:
            pipe.zadd(self.key.settling, {generation_id: due_ns / 1e9}, nx=True)
        pipe.zadd(self.key.live, {generation_id: self.store.now_s()})
        last_ns = max(current.times.due_ns, *current.heard.values())
        for key in (self.key.events(generation_id), self.key.run(generation_id)):
            pipe.expireat(key, last_ns // 10**9 + LIVE_TTL_S)
        pipe.execute()

    # -- long stories ----------------------------------------------------------------------
    def _is_long(self, generation_id: str) -> None:
        if generation_id not in self._asked:
            self._asked.add(generation_id)
            self.store.thread.ask(lambda client: self._compact(client, generation_id))

    def _compact(self, client: Any, generation_id: str) -> None:
        """Put the oldest of a list's elements together, under the lease and as one step."""
        self._asked.discard(generation_id)
        if client is None:
            return
        lease, key = self.key.lease(generation_id), self.key.events(generation_id)
        word = f"{self.store.instance()}:{random.SystemRandom().getrandbits(32):08x}"
        if not client.set(lease, word, nx=True, px=round(LEASE_S * 1000)):
            return
        texts: list[str] = client.lrange(key, 0, -1)
        whole = [list(events.load(text)) for text in texts]
        fields = client.hgetall(self.key.run(generation_id))
        flat = [event for some in whole for event in some]
        made = compacted(flat, self.store.rules, KEEP, traces_of(fields))
        with client.pipeline() as pipe:
            pipe.watch(lease)
            if made is None or pipe.get(lease) != word:
                client.delete(lease)
                return
            rest = [text for text, some in zip(texts, whole, strict=True) if _is_needed(some, made)]
            pipe.multi()
            pipe.ltrim(key, len(texts), -1)
            pipe.lpush(key, *reversed([events.dump(made), *rest]))
            pipe.delete(lease)
            _execute(pipe)


def _is_needed(some: list[Any], made: Compact) -> bool:
    """Whether an element has anything that is not in what was put together."""
    return any(
        event.n > made.upto.get(event.instance, 0)
        if isinstance(event, Step)
        else not isinstance(event, Compact)
        for event in some
    )


def _execute(pipe: Any) -> None:
    """Run the transaction, unless somebody else has the lease by now."""
    from redis.exceptions import WatchError

    try:
        pipe.execute()
    except WatchError:
        return
