"""Finds runs that other processes began: in memory, or in one read that the host waits for."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.core.run import fold
from gentrace.core.run.folded import Folded
from gentrace.core.run.rules import Settling
from gentrace.core.run.run import UNCHANGED
from gentrace.core.run.run import Run as StoredRun
from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.store.connection import Where
from gentrace.runtime.store.keys import Keys
from gentrace.runtime.store.stream import MAX_WAITING
from gentrace.runtime.store.thread import StoreThread

READ_TIMEOUT_S = 0.05
_AGAIN_S = 10.0


class RunReads:
    """Finds runs that other processes began.

    Args:
        source: gives the Redis to use now, None while there is none.
    """

    def __init__(
        self,
        key: Keys,
        rules: Settling,
        thread: StoreThread,
        source: Callable[[], Where | None],
    ) -> None:
        self._key, self._rules, self._thread, self._source = key, rules, thread, source
        self._length: OrderedDict[str, int] = OrderedDict()
        self._asked: dict[str, float] = {}
        self._fetching: set[str] = set()
        self._unanswered: set[str] = set()

    def after_fork(self) -> None:
        """In a forked child: nothing is on its way."""
        self._fetching.clear()
        self._unanswered.clear()

    def is_unsure(self, generation_id: str) -> bool:
        """Whether a Redis that may know that generation's run has not said so yet.

        Nobody begins another trace for it then: the answer comes late, and is kept.
        """
        return generation_id in self._unanswered

    async def resolve(self, kind: str, value: str, until: float = 0.0) -> Run | None:
        """The run of the generation that an id of another kind stands for."""
        name = self._key.alias(kind, value)
        return await self.ask(lambda client: self._read(client, client.get(name)), until=until)

    def patience(self) -> float:
        """Until when the host may be kept waiting from now on, for all reads together."""
        return time.monotonic() + READ_TIMEOUT_S

    async def find(self, generation_id: str | None, until: float = 0.0) -> Run | None:
        """The run of that generation: from memory, else one read of at most 50 ms.

        Only the first sight of a generation is waited for; what was not there then is asked for
        again in the background, at most every :data:`_AGAIN_S`.

        Args:
            until: what :meth:`patience` gave, where other reads were waited for before.
        """
        known = context.find(generation_id)
        if known is not None or generation_id is None or self._source() is None:
            return known
        asked = self._asked.get(generation_id)
        now = time.monotonic()
        if asked is not None and now - asked < _AGAIN_S:
            return None
        if len(self._asked) > MAX_WAITING:
            self._asked.clear()
        self._asked[generation_id] = now
        if asked is not None:
            self.prefetch(generation_id)
            return None
        return await self.look_again(generation_id, until)

    def prefetch(self, generation_id: str, *, fresh: bool = False, grown: bool = False) -> None:
        """Read a run in the background, for whoever asks for it next.

        Args:
            fresh: also where it is known, for what other processes have told since.
            grown: ... where anything was told since it was last read here.
        """
        if self._source() is None or generation_id in self._fetching:
            return
        if not fresh and not grown and context.find(generation_id) is not None:
            return

        def fetch(client: Any) -> None:
            self._fetching.discard(generation_id)
            if client is not None and not (grown and self._is_as_it_was(client, generation_id)):
                self.remember(self._read(client, generation_id))
                self._unanswered.discard(generation_id)

        self._fetching.add(generation_id)
        self._thread.ask(fetch)

    async def current(self, generation_id: str, sent: trace.SpanContext, until: float = 0.0) -> Run:
        """The run that a job belongs to whose carrier names another trace than we know.

        The store decides; where it does not answer, the carrier is newer than our memory.
        """
        run = await self.ask(
            lambda client: self._read(client, generation_id), fresh=True, until=until
        )
        run = run or Run(generation_id, parent=sent, owned=True)
        context.remember(run)
        return run

    async def look_again(self, generation_id: str, until: float = 0.0) -> Run | None:
        """One more read, before a generation is taken for one that nobody has traced."""
        if self._source() is None:
            return None
        if len(self._unanswered) > MAX_WAITING:
            self._unanswered.clear()
        self._unanswered.add(generation_id)

        def reading(client: Any) -> Run | None:
            run = self._read(client, generation_id)
            self._unanswered.discard(generation_id)
            return run

        return await self.ask(reading, until=until)

    async def find_by_trace(self, trace_id: int, until: float = 0.0) -> Run | None:
        """The run whose trace that is, as :meth:`find`."""
        known = context.find_by_trace(trace_id)
        if known is not None:
            return known
        name = self._key.trace(f"{trace_id:032x}")
        return await self.ask(lambda client: self._read(client, client.get(name)), until=until)

    def _is_as_it_was(self, client: Any, generation_id: str) -> bool:
        length = self._length.get(generation_id)
        return length is not None and int(client.llen(self._key.events(generation_id))) == length

    def _read(self, client: Any, generation_id: str | None) -> Run | None:
        if not generation_id:
            return None
        stored = read(client, self._key, generation_id, self._rules)
        self._length[generation_id] = len(stored.texts)
        self._length.move_to_end(generation_id)
        if len(self._length) > MAX_WAITING:
            self._length.popitem(last=False)
        current = stored.folded.current
        return None if current is None else run_of(generation_id, current)

    async def ask(
        self, read: Callable[[Any], Run | None], *, fresh: bool = False, until: float = 0.0
    ) -> Run | None:
        """Wait for a read, at most 50 ms, and not beyond ``until``."""
        left_s = (until or self.patience()) - time.monotonic()
        if (
            left_s <= 0
            or self._thread.stopped
            or self._thread.connection.paused
            or self._source() is None
        ):
            return None
        answer: Future[Run | None] = Future()

        def answering(client: Any) -> None:
            waited_for = answer.set_running_or_notify_cancel()
            try:
                run = read(client) if client is not None else None
            except Exception:
                if waited_for:
                    answer.set_result(None)
                raise
            if not fresh:
                run = self.remember(run)  # also where nobody waits any more
            if waited_for:
                answer.set_result(run)

        self._thread.ask(answering, first=True)
        waited = asyncio.wrap_future(answer)
        try:
            # not wait_for: before Python 3.12 it can swallow a cancellation of the host's task
            done, _ = await asyncio.wait({waited}, timeout=left_s)
            run = waited.result() if done else None
        finally:
            waited.cancel()  # nobody waits for it any more; its loop may be closed by then
        return run

    @staticmethod
    def remember(run: Run | None) -> Run | None:
        """Keep what was read, unless the process has met that run in the meantime."""
        if run is None:
            return None
        known = context.find(run.generation_id)
        if known is None or run.number > known.number > 0:
            context.remember(run)
            return run
        known.ended_ns, known.outcome = run.ended_ns, run.outcome
        known.unchanged = max(known.unchanged, run.unchanged)
        return known


@dataclass(frozen=True, slots=True)
class Stored:
    """A generation as Redis has it: the list's elements, the fields of the hash, and the runs."""

    texts: list[str]
    fields: Mapping[str, str]
    folded: Folded


def read(client: Any, key: Keys, generation_id: str, rules: Settling) -> Stored:
    """Everything that is known of a generation, in one question to Redis.

    Raises:
        redis.RedisError: Redis does not answer, or not with these.
    """
    pipe = client.pipeline(transaction=False)
    pipe.hgetall(key.run(generation_id))
    pipe.lrange(key.events(generation_id), 0, -1)
    fields, texts = pipe.execute()
    return Stored(texts, fields, fold.read(texts, rules, fold.traces_of(fields)))


def run_of(generation_id: str, stored: StoredRun) -> Run | None:
    """A run as this process goes on with it; None where nobody could."""
    try:
        parent = trace.SpanContext(
            int(stored.trace, 16),
            int(stored.parent, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(stored.flags),
        )
    except ValueError:
        return None
    if not parent.is_valid:
        return None
    run = Run(generation_id, parent=parent, owned=True, number=stored.number, stored=True)
    run.ended_ns, run.outcome = stored.ended_ns, stored.outcome
    run.attempts = stored.counts.get(names.ATTEMPTS, 0)
    run.unchanged = stored.counts.get(UNCHANGED, 0)
    return run
