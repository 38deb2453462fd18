"""The run store: what one process knows of a run for the others, in the Redis that ARQ uses.

Written and read on one thread and one connection of its own, in order (runs/thread.py), so that
the host's event loop never waits on it but for one bounded read at first sight of a generation.
It fails open: without Redis the carrier alone joins the API and the worker, and what is missing
is said on the spans. docs/store.md describes the keys.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.runs import keys
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.keys import Keys
from gentrace.runtime.runs.polls import PollCounts
from gentrace.runtime.runs.record import UNCHANGED, OpenSpan, Record, fields_of
from gentrace.runtime.runs.status import Settling
from gentrace.runtime.runs.thread import MAX_WAITING, StoreThread, Where
from gentrace.runtime.runs.writer import Writer, Written

READ_TIMEOUT_S = 0.05
_AGAIN_S = 10.0
REGULAR_S = 5.0


class RunStore:
    """Remembers runs in Redis for the other processes.

    Args:
        profile: the profile's name, part of every key.
        rules: when a status is final, and for how long it may still be taken back.
        url: where Redis is; None until ARQ's own pool has been seen.
        fallback: where it is for a process that never makes such a pool.
        instance: gives this process's id.

    Attributes:
        too_late: changes that came when the span of their run was written already.
        shown: gives what may be written of a fact, by its name, its value and the run's prompts.
    """

    def __init__(
        self,
        profile: str,
        rules: Settling,
        url: str | None = None,
        fallback: str | None = None,
        instance: Callable[[], str] = lambda: "",
    ) -> None:
        self.key = Keys(profile)
        self.instance = instance
        self._fixed = bool(url)
        self._where: Where | None = url
        self._fallback = fallback
        self._pool: Any = None
        self._asked: dict[str, float] = {}
        self.writer = Writer(self.key, rules, instance, self._written)
        self.thread = StoreThread(self._source, self._write, self._regular)
        self.too_late = 0
        self.on_written: list[Callable[[Written], None]] = []
        self.polls = PollCounts(self.thread, self.key)
        self.regular: list[Callable[[Any], float]] = [self.polls.write]
        self.shown: Callable[[str, Any, Sequence[str]], Any] = lambda _name, value, _prompts: value
        self.handed_on: Callable[[set[int]], tuple[OpenSpan, ...]] = lambda _span_ids: ()

    @property
    def lost(self) -> int:
        """Changes that were not written."""
        return self.thread.lost

    @property
    def answers(self) -> bool:
        """There is a Redis, and it answered when it was last asked."""
        return self._source() is not None and not self.thread.paused and not self.thread.troubled

    def misses(self, generation_id: str | None) -> bool:
        """Something of that generation is not in the store, or may not be."""
        return not self.answers or self.thread.full or generation_id in self.thread.holes

    def use_pool(self, connection_pool: Any, *, provisional: bool = False) -> None:
        """This pool carries the generations' jobs: its Redis is the store, unless configured."""
        if self._fixed or connection_pool is None or connection_pool is self._pool:
            return
        if provisional and self._where is not None:
            return  # any pool will do until one is seen to carry the generations' jobs
        self._pool = connection_pool
        given = dict(connection_pool.connection_kwargs)
        kept = {
            name: given[name]
            for name in ("host", "port", "db", "username", "password", "path", "unix_socket_path")
            if given.get(name) is not None
        }
        cls = getattr(connection_pool, "connection_class", None)
        if cls is not None and "SSL" in cls.__name__:
            kept["ssl"] = True
            kept.update({k: v for k, v in given.items() if k.startswith("ssl_") and v is not None})
        if cls is not None and "Unix" in cls.__name__ and "path" in kept:
            kept["unix_socket_path"] = kept.pop("path")
        if "host" not in kept and "unix_socket_path" not in kept:
            return  # no plain Redis (Sentinel, a fake): rather none than a guess
        if kept != self._where:
            self._where = kept
            self.thread.move()

    def _source(self) -> Where | None:
        return self._where if self._where is not None else self._fallback

    # -- writing ---------------------------------------------------------------------------
    def note(
        self, run: Run, change: Change | None = None, *, urgent: bool = False, **what: Any
    ) -> None:
        """Tell the other processes what happened to a run. Never waits, never raises for Redis.

        Args:
            change: what happened; made of ``what`` (the fields of :class:`Change`) otherwise.
            urgent: somebody may ask for it in a moment.
        """
        made = replace(change, **what) if change is not None else self.change(**what)
        if run.parent is not None:
            made = replace(
                made,
                trace=f"{run.parent.trace_id:032x}",
                parent=f"{run.parent.span_id:016x}",
                flags=int(run.parent.trace_flags),
                number=run.number,
                adopted=run.adopted,
            )
            named = {made.parent, made.root, made.anchor, made.executed} - {""}
            opened = self.handed_on({int(span_id, 16) for span_id in named})
            if opened:
                made = replace(made, opened=(*opened, *made.opened))
        if run.generation_id is None:
            run.unwritten.append(made)
            return
        waiting, run.unwritten = run.unwritten, []
        for each in (*waiting, made):
            self.thread.change(run.generation_id, each, urgent)

    def change(self, **what: Any) -> Change:
        """A change of this process, as of now unless ``at_ns`` says otherwise."""
        what.setdefault("at_ns", time.time_ns())
        what.setdefault("seq", 0)
        return Change(self.instance(), **what)

    def note_of(self, generation_id: str, change: Change, *, urgent: bool = False) -> None:
        """As :meth:`note`, of a generation that this process may not know."""
        run = context.find(generation_id)
        if run is not None:
            self.note(run, change, urgent=urgent)
        else:
            self.thread.change(generation_id, replace(change, existing_only=True), urgent)

    def coming(self, run: Run, status: str) -> None:
        """A final status is about to be committed: should this process die at it, others know."""
        if run.coming != status:
            run.coming = status
            self.note(run, coming=status, urgent=True)

    def save(self, run: Run) -> None:
        """Keep the run's trace and parent for the other processes, soon."""
        if run.parent is not None:
            self.note(run, urgent=True)

    def _write(self, client: Any, generation_id: str, changes: list[Change]) -> None:
        run = context.find(generation_id)
        prompts = run.prompts if run is not None else ()
        changes = [self._cleaned(change, prompts) for change in changes]
        hole = generation_id in self.thread.holes
        if hole:
            missing = (*changes[0].incomplete, names.NO_STORE)
            changes = [replace(changes[0], incomplete=missing), *changes[1:]]
        self.writer.write(client, generation_id, changes)
        if hole:
            self.thread.holes.discard(generation_id)

    def _cleaned(self, change: Change, prompts: Sequence[str]) -> Change:
        def clean(facts: Mapping[str, Any]) -> dict[str, Any]:
            return {
                name: None if value is None else self.shown(name, value, prompts)
                for name, value in facts.items()
            }

        if not change.facts and not change.opened and not change.polled:
            return change
        opened = tuple(replace(span, attributes=clean(span.attributes)) for span in change.opened)
        polled = str(clean({names.PROVIDER_JOB_ID: change.polled})[names.PROVIDER_JOB_ID])
        return replace(change, facts=clean(change.facts), opened=opened, polled=polled)

    def _written(self, written: Written) -> None:
        record = written.record
        self.too_late += written.too_late
        run = context.find(record.generation_id)
        if run is not None and run.number < record.number:
            self._remember(_run(record.generation_id, fields_of(record)))
        elif run is not None and run.number == record.number:
            run.ended_ns, run.outcome = record.ended_ns, record.outcome
            run.unchanged = record.counts.get(UNCHANGED, 0)
        for listener in self.on_written:
            listener(written)

    def _regular(self, client: Any) -> float:
        if client is None:
            return REGULAR_S
        wait_s = REGULAR_S
        for work in self.regular:
            try:
                wait_s = min(wait_s, work(client))
            except Exception as exc:
                if self.thread.failed(exc):
                    break  # there is no Redis: the others would wait for it in vain
        return wait_s

    # -- second ids ------------------------------------------------------------------------
    def learn(self, kind: str, value: str, generation_id: str) -> None:
        """An id of another kind stands for that generation from now on."""
        name = self.key.alias(kind, value)
        self.thread.put(lambda client: client.set(name, generation_id, ex=keys.LIVE_TTL_S))

    async def resolve(self, kind: str, value: str) -> Run | None:
        """The run of the generation that an id of another kind stands for."""
        name = self.key.alias(kind, value)
        return await self.ask(lambda client: self._read(client, client.get(name)))

    # -- reading ---------------------------------------------------------------------------
    async def find(self, generation_id: str | None) -> Run | None:
        """The run of that generation: from memory, else one read of at most 50 ms.

        Only the first sight of a generation is waited for; what was not there then is asked for
        again in the background, at most every :data:`_AGAIN_S`.
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
        return await self.ask(lambda client: self._read(client, generation_id))

    def prefetch(self, generation_id: str, *, fresh: bool = False) -> None:
        """Read a run in the background, for whoever asks for it next.

        Args:
            fresh: also where it is known, for what other processes have written since.
        """
        if self._source() is not None and (fresh or context.find(generation_id) is None):
            self.thread.ask(
                lambda client: client and self._remember(self._read(client, generation_id))
            )

    async def current(self, generation_id: str, sent: trace.SpanContext) -> Run:
        """The run that a job belongs to whose carrier names another trace than we know.

        The store decides; where it does not answer, the carrier is newer than our memory.
        """
        run = await self.ask(lambda client: self._read(client, generation_id), fresh=True)
        run = run or Run(generation_id, parent=sent, owned=True)
        context.remember(run)
        return run

    async def look_again(self, generation_id: str) -> Run | None:
        """One more read, before a generation is taken for one that nobody has traced."""
        return await self.ask(lambda client: self._read(client, generation_id))

    async def find_by_trace(self, trace_id: int) -> Run | None:
        """The run whose trace that is, as :meth:`find`."""
        known = context.find_by_trace(trace_id)
        if known is not None:
            return known
        name = self.key.trace(f"{trace_id:032x}")
        return await self.ask(lambda client: self._read(client, client.get(name)))

    def _read(self, client: Any, generation_id: str | None) -> Run | None:
        if not generation_id:
            return None
        named = ("trace", "parent", "flags", "number", "record")
        values: Sequence[str | None] = client.hmget(self.key.run(generation_id), named)
        fields = {name: value for name, value in zip(named, values, strict=True) if value}
        return _run(generation_id, fields)

    async def ask(self, read: Callable[[Any], Run | None], *, fresh: bool = False) -> Run | None:
        if self.thread.stopped or self.thread.paused or self._source() is None:
            return None
        answer: Future[Run | None] = Future()

        def answering(client: Any) -> None:
            if not answer.set_running_or_notify_cancel():
                return  # too late: nobody waits for it any more
            try:
                answer.set_result(read(client) if client is not None else None)
            except Exception:
                answer.set_result(None)
                raise

        self.thread.ask(answering)
        waited = asyncio.wrap_future(answer)
        try:
            # not wait_for: before Python 3.12 it can swallow a cancellation of the host's task
            done, _ = await asyncio.wait({waited}, timeout=READ_TIMEOUT_S)
            run = waited.result() if done else None
        finally:
            waited.cancel()  # nobody waits for it any more; its loop may be closed by then
        return run if fresh else self._remember(run)

    @staticmethod
    def _remember(run: Run | None) -> Run | None:
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

    # -- the process -----------------------------------------------------------------------
    def after_fork(self) -> None:
        """In a forked child: no thread and no connection of the parent's."""
        self.thread.after_fork()
        self.polls.forget()
        self.too_late = 0

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was put so far has been written; False when the time is over."""
        return self.thread.flush(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Write what waits, then end the thread and the connection."""
        self.thread.stop(timeout_s)


def _run(generation_id: str, fields: Mapping[str, str]) -> Run | None:
    """A run out of its hash; None where there is none, or none that can be used."""
    try:
        number = int(fields.get("number") or 1)
        parent = trace.SpanContext(
            int(fields["trace"], 16),
            int(fields["parent"], 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(int(fields.get("flags", "01"), 16)),
        )
    except (KeyError, ValueError):
        return None
    if not parent.is_valid:
        return None
    record = Record.load(fields.get("record"))
    run = Run(generation_id, parent=parent, owned=True, number=number)
    if record is not None:
        run.ended_ns, run.outcome = record.ended_ns, record.outcome
        run.attempts = record.counts.get(names.ATTEMPTS, 0)
        run.unchanged = record.counts.get(UNCHANGED, 0)
    return run
