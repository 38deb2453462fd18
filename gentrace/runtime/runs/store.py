"""The run store: what one process knows of a run for the others, in the Redis that ARQ uses.

Written and read on one thread and one connection of its own, in order (runs/thread.py), so that
the host's event loop never waits on it but for one bounded read at first sight of a generation.
It fails open: without Redis the carrier alone joins the API and the worker, and what is missing
is said on the spans. docs/store.md describes the keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gentrace.core import names
from gentrace.runtime import context, notices
from gentrace.runtime.context import Run
from gentrace.runtime.runs import keys
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.journal import Journal
from gentrace.runtime.runs.keys import Keys
from gentrace.runtime.runs.polls import PollCounts
from gentrace.runtime.runs.reads import RunReads, run_of
from gentrace.runtime.runs.record import UNCHANGED, OpenSpan, fields_of
from gentrace.runtime.runs.status import Settling
from gentrace.runtime.runs.thread import StoreThread, Where
from gentrace.runtime.runs.writer import Writer, Written

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
        runs: finds runs that other processes began.
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
        self.writer = Writer(self.key, rules, instance, self._written)
        self.thread = StoreThread(self._source, self._write, self._regular)
        self.runs = RunReads(self.key, self.thread, self._source)
        self.too_late = 0
        self.on_written: list[Callable[[Written], None]] = []
        self.polls = PollCounts(self.thread, self.key, instance)
        self.journal = Journal(self.key, self.thread, instance)
        self.regular: list[Callable[[Any], float]] = [self.polls.write, self.journal.regular]
        self.shown: Callable[[str, Any, Sequence[str]], Any] = lambda _name, value, _prompts: value
        self.handed_on: Callable[[set[int]], tuple[OpenSpan, ...]] = lambda _span_ids: ()

    @property
    def lost(self) -> int:
        """Changes that were not written."""
        return self.thread.lost

    @property
    def answers(self) -> bool:
        """There is a Redis, and it answered when it was last asked."""
        return (
            self._source() is not None
            and not self.thread.connection.paused
            and not self.thread.connection.troubled
        )

    def misses(self, generation_id: str | None) -> bool:
        """Something of that generation is not in the store, or may not be."""
        return not self.answers or self.thread.connection.full or generation_id in self.thread.holes

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
            self.journal.close()  # what waits is written there
            self.thread.move()
            self.thread.hurry(0)

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
            self._put(run.generation_id, each, urgent, run.prompts)

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
            self._put(generation_id, replace(change, existing_only=True), urgent)

    def _put(
        self, generation_id: str, change: Change, urgent: bool, prompts: Sequence[str] = ()
    ) -> None:
        """Have it written, without what must not leave the process."""
        try:
            cleaned = self._cleaned(change, prompts)
        except Exception as exc:
            notices.swallowed("run store", exc)
            self.thread.drop(generation_id, 1)
            return
        self.thread.change(generation_id, cleaned, urgent)

    def coming(self, run: Run, status: str) -> None:
        """A final status is about to be committed: should this process die at it, others know."""
        if run.coming != status:
            run.coming = status
            self.note(run, coming=status, urgent=True)

    def not_coming(self, run: Run) -> None:
        """What :meth:`coming` told will not be: it was rolled back, or its call failed."""
        if run.coming:
            run.coming = ""
            self.note(run, not_coming=True, urgent=True)

    def save(self, run: Run) -> None:
        """Keep the run's trace and parent for the other processes, soon."""
        if run.parent is not None:
            self.note(run, urgent=True)

    def _write(self, client: Any, generation_id: str, changes: list[Change]) -> None:
        self.journal.send()
        hole = generation_id in self.thread.holes
        if hole:
            missing = (*changes[0].incomplete, names.NO_STORE)
            changes = [replace(changes[0], incomplete=missing), *changes[1:]]
        if not self.writer.write(client, generation_id, changes):
            if any(not change.existing_only for change in changes):
                self.thread.drop(generation_id, len(changes))
        elif hole:
            self.thread.holes.discard(generation_id)

    def _cleaned(self, change: Change, prompts: Sequence[str]) -> Change:
        def clean(facts: Mapping[str, Any]) -> dict[str, Any]:
            return {
                name: None if value is None else self.shown(name, value, prompts)
                for name, value in facts.items()
            }

        if not (change.facts or change.asked or change.opened or change.polled):
            return change
        opened = tuple(
            replace(
                span,
                name=clean({names.CALLER: span.name})[names.CALLER],  # as a name of the host's
                attributes=clean(span.attributes),
            )
            for span in change.opened
        )
        polled = str(clean({names.PROVIDER_JOB_ID: change.polled})[names.PROVIDER_JOB_ID])
        facts, asked = clean(change.facts), clean(change.asked)
        return replace(change, facts=facts, asked=asked, opened=opened, polled=polled)

    def _written(self, written: Written) -> None:
        record = written.record
        self.too_late += written.too_late
        run = context.find(record.generation_id)
        if run is not None and run.number < record.number:
            self.runs.remember(run_of(record.generation_id, fields_of(record)))
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
                if self.thread.connection.failed(exc):
                    break  # there is no Redis: the others would wait for it in vain
        return wait_s

    # -- second ids ------------------------------------------------------------------------
    def learn(self, kind: str, value: str, generation_id: str) -> None:
        """An id of another kind stands for that generation from now on."""
        name = self.key.alias(kind, value)
        self.thread.put(
            lambda client: client.set(name, generation_id, ex=keys.LIVE_TTL_S), generation_id
        )

    # -- the process -----------------------------------------------------------------------
    def after_fork(self) -> None:
        """In a forked child: no thread and no connection of the parent's."""
        self.thread.after_fork()
        self.runs.after_fork()
        self.polls.forget()
        self.journal.after_fork()
        self.too_late = 0

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was put so far has been written; False when the time is over."""
        return self.thread.flush(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Write what waits, then end the thread and the connections."""
        self.journal.close(written=self.thread.stop(timeout_s), ended=True)
