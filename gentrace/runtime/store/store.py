"""The run store: what one process knows of a run for the others, in the Redis that ARQ uses.

What is told is appended (store/stream.py) on a connection of gentrace's own, so that the host's
event loop never waits on it but for one bounded read at first sight of a generation. It fails open:
without Redis the carrier alone joins the API and the worker, and what is missing is said on the
spans. docs/store.md describes the keys.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gentrace.core import names
from gentrace.core.run.events import SKEW_NS, OpenSpan, Step
from gentrace.core.run.rules import Settling
from gentrace.runtime import context, notices
from gentrace.runtime.context import Run
from gentrace.runtime.store import keys
from gentrace.runtime.store.connection import place_of
from gentrace.runtime.store.find import RunReads
from gentrace.runtime.store.keys import Keys
from gentrace.runtime.store.polls import PollCounts
from gentrace.runtime.store.sender import Sender
from gentrace.runtime.store.stream import Stream
from gentrace.runtime.store.thread import StoreThread, Where

REGULAR_S = 5.0
CLOCK_S = 15.0
_ROUNDS = 8


class RunStore:
    """Remembers runs in Redis for the other processes.

    Args:
        profile: the profile's name, part of every key; ``environment`` follows it.
        rules: when a status is final, and for how long it may still be taken back.
        url: where Redis is; None until ARQ's own pool has been seen.
        fallback: where it is for a process that never makes such a pool.
        instance: gives this process's id.

    Attributes:
        runs: finds runs that other processes began.
        too_late: steps that came when the span of their run was written already.
        on_end: told of each end that this process tells, with when it is certain (ns).
        shown: gives what may be written of a fact, by its name, its value and the run's prompts.
        handed_on: gives the open spans among these, which others will put work under.
    """

    def __init__(
        self,
        profile: str,
        rules: Settling,
        url: str | None = None,
        fallback: str | None = None,
        instance: Callable[[], str] = lambda: "",
        environment: str = "",
    ) -> None:
        self.key = Keys(profile, environment)
        self.rules = rules
        self.instance = instance
        self._fixed = bool(url)
        self._where: Where | None = url
        self._fallback = fallback
        self._pool: Any = None
        sender = Sender()
        self.thread = StoreThread(self._source, self._regular, sender)
        self.stream = Stream(self.key, rules, sender, instance, self.thread.look)
        self.thread.stream, self.thread.opened = self.stream, self._opened
        self.runs = RunReads(self.key, self.rules, self.thread, self._source)
        self.polls = PollCounts(self.stream, self.key, instance)
        self.too_late = 0
        self.on_end: list[Callable[[str, int], None]] = []
        self.regular: list[Callable[[Any], float]] = [self._look_after_clock]
        self.shown: Callable[[str, Any, Sequence[str]], Any] = lambda _name, value, _prompts: value
        self.handed_on: Callable[[set[int]], tuple[OpenSpan, ...]] = lambda _span_ids: ()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._epoch = ""
        self._opened_before = False
        self._rounds: list[tuple[float, float]] = []
        self._clock_at = 0.0

    @property
    def lost(self) -> int:
        """Steps that did not reach Redis."""
        return self.stream.lost

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
        full = self.thread.connection.full
        return not self.answers or full or generation_id in self.stream.holes

    def use_pool(self, connection_pool: Any, *, provisional: bool = False) -> None:
        """This pool carries the generations' jobs: its Redis is the store, unless configured."""
        if self._fixed or connection_pool is None or connection_pool is self._pool:
            return
        if provisional and self._where is not None:
            return  # any pool will do until one is seen to carry the generations' jobs
        self._pool = connection_pool
        kept = place_of(connection_pool)
        if kept is not None and kept != self._where:
            self._where = kept
            self.thread.move()
            self.thread.hurry(0)

    def _source(self) -> Where | None:
        return self._where if self._where is not None else self._fallback

    # -- telling ---------------------------------------------------------------------------
    def note(
        self, run: Run, step: Step | None = None, *, urgent: bool = False, **what: Any
    ) -> None:
        """Tell the other processes what happened to a run. Never waits, never raises for Redis.

        Args:
            step: what happened; made of ``what`` (the fields of :class:`Step`) otherwise.
            urgent: somebody may ask for it in a moment.
        """
        parent = run.parent
        if parent is not None:
            named = {
                f"{parent.span_id:016x}",
                *(what.get(name) or "" for name in ("root", "anchor", "executed")),
            } - {""}
            opened = self.handed_on({int(span_id, 16) for span_id in named})
            if opened:
                what["opened"] = (*opened, *what.get("opened", ()))
            what |= {
                "trace": f"{parent.trace_id:032x}",
                "parent": f"{parent.span_id:016x}",
                "flags": int(parent.trace_flags),
                "number": run.number,
                "adopted": run.adopted,
            }
        made = replace(step, **what) if step is not None else self.step(**what)
        if run.generation_id is None:
            run.unwritten.append(made)
            return
        waiting, run.unwritten = run.unwritten, []
        for each in waiting:
            self._put(run.generation_id, each, False, run)
        self._put(run.generation_id, made, urgent, run)

    def step(self, **what: Any) -> Step:
        """A step of this process, as of now unless ``at_ns`` says otherwise."""
        what.setdefault("at_ns", time.time_ns())
        return Step(self.instance(), 0, skew_ns=self.stream.skew_ns, **what)

    def note_of(self, generation_id: str, step: Step, *, urgent: bool = False) -> None:
        """As :meth:`note`, of a generation that this process may not know."""
        run = context.find(generation_id)
        if run is not None:
            self.note(run, step, urgent=urgent)
        else:
            only = step.status not in self.rules.outcomes
            self._put(generation_id, step, urgent, only_existing=only)

    def _put(
        self,
        generation_id: str,
        step: Step,
        urgent: bool,
        run: Run | None = None,
        *,
        only_existing: bool = False,
    ) -> None:
        """Have it appended, without what must not leave the process."""
        try:
            cleaned = self._cleaned(step, run.prompts if run is not None else ())
        except Exception as exc:
            notices.swallowed("run store", exc)
            self.stream.drop(generation_id, 1)
            return
        begun = run is not None and run.stored
        self.stream.tell(generation_id, cleaned, urgent, only_existing=only_existing, begun=begun)
        outcome = self.rules.outcomes.get(step.status)
        if outcome is not None:
            for listener in self.on_end:
                listener(generation_id, step.at_ns + self.rules.ns(outcome))

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

    def _cleaned(self, step: Step, prompts: Sequence[str]) -> Step:
        def clean(facts: Mapping[str, Any]) -> dict[str, Any]:
            return {
                name: None if value is None else self.shown(name, value, prompts)
                for name, value in facts.items()
            }

        if not (step.facts or step.asked or step.opened or step.polled):
            return step
        opened = tuple(
            replace(
                span,
                name=clean({names.CALLER: span.name})[names.CALLER],  # as a name of the host's
                attributes=clean(span.attributes),
            )
            for span in step.opened
        )
        polled = str(clean({names.PROVIDER_JOB_ID: step.polled})[names.PROVIDER_JOB_ID])
        facts, asked = clean(step.facts), clean(step.asked)
        return replace(step, facts=facts, asked=asked, opened=opened, polled=polled)

    # -- second ids ------------------------------------------------------------------------
    def learn(self, kind: str, value: str, generation_id: str) -> None:
        """An id of another kind stands for that generation from now on."""
        name = self.key.alias(kind, value)
        self.stream.command(generation_id, "SET", name, generation_id, "EX", keys.LIVE_TTL_S)

    # -- on the store's thread -------------------------------------------------------------
    def _opened(self, client: Any) -> None:
        """There is a new connection: what of ours is missing there is told again."""
        self._clock_at = 0.0
        self._look_after_clock(client)
        if self._opened_before:  # a master that took over may lack what was acknowledged lately
            self.stream.tell_again(lately=True)
        self._opened_before = True

    def _look_after_clock(self, client: Any) -> float:
        """Compare clocks, and see whether Redis was emptied; the seconds until the next time."""
        left = self._clock_at + CLOCK_S - time.monotonic()
        if self._clock_at and left > 0:
            return left
        sent_s, began = time.time(), time.monotonic()
        seconds, micros = client.time()
        took_s = time.monotonic() - began
        offset_s = sent_s + took_s / 2 - (float(seconds) + float(micros) / 1e6)
        self._rounds = [*self._rounds, (took_s, offset_s)][-_ROUNDS:]
        took_s, self.stream.offset_s = min(self._rounds)
        skew_ns = round(self.stream.offset_s * 1e9)
        sure = abs(skew_ns) > max(SKEW_NS, 1.5e9 * took_s)
        self.stream.skew_ns = round(skew_ns, -6) if sure else 0
        self.see_epoch(client)
        self.stream.strike_out()
        self._clock_at = time.monotonic()
        return CLOCK_S

    def see_epoch(self, client: Any) -> float:
        """See since when (s) Redis keeps what it is told.

        Where it was emptied, or is another, it is told all that is kept here.
        """
        key, known = self.key.epoch, self._epoch
        found = client.get(key)
        if found is None:
            mine = f"{random.SystemRandom().getrandbits(64):016x} {self.now_s():.3f}"
            found = mine if client.set(key, mine, nx=True) else client.get(key)
        self._epoch = str(found)
        if known and self._epoch != known:
            self.stream.tell_again()
        try:
            return float(self._epoch.partition(" ")[2])
        except ValueError:
            return 0.0

    def now_s(self) -> float:
        """Unix time as Redis has it, which is the same for every machine."""
        return time.time() - self.stream.offset_s

    def _regular(self, client: Any) -> float:
        if client is None:
            return REGULAR_S
        wait_s = REGULAR_S
        for work in self.regular:
            try:
                wait_s = min(wait_s, work(client))
            except Exception as exc:
                if self.thread.connection.failed(exc):
                    self.stream.sender.close()
                    break  # there is no Redis: the others would wait for it in vain
        return wait_s

    # -- the process -----------------------------------------------------------------------
    def after_fork(self) -> None:
        """In a forked child: no thread and no connection of the parent's."""
        self.stream.sender.renew()
        self.stream.renew()
        self.thread.after_fork()
        self.runs.after_fork()
        self.polls.forget()
        self.too_late = 0
        self._begin_anew()

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was told so far is there; False when the time is over."""
        return self.thread.flush(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Send what waits, then end the thread and the connections."""
        self.thread.stop(timeout_s)
