"""Writes the runs' records to Redis, each change in one atomic step, and what comes of it.

A record is read under WATCH, changed by :func:`gentrace.runtime.runs.record.apply` and written in
MULTI/EXEC, which Redis takes only if nobody else wrote it in between. What became certain by a
write (a wait that is over) is handed on once, by whoever wrote it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gentrace.core import names
from gentrace.core.times import Event, Kind, State
from gentrace.runtime.runs import keys
from gentrace.runtime.runs.apply import apply
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.keys import Keys
from gentrace.runtime.runs.ledger import Stay
from gentrace.runtime.runs.polls import polls_of
from gentrace.runtime.runs.record import Record, fields_of
from gentrace.runtime.runs.status import Settling

_TRIES = 50
LEASE_S = 30.0
AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Written:
    """A write that Redis took.

    Attributes:
        waits: what the run spent between its events, as far as this write made it certain.
        polls: how often the provider was asked in the wait for it that is over.
        too_late: changes that came when the span of their run was written already.
    """

    record: Record
    waits: Sequence[Stay] = ()
    polls: int = 0
    too_late: int = 0


@dataclass(slots=True)
class _Applied:
    """What became of several changes; ``before`` are earlier runs that still want writing."""

    record: Record | None
    before: list[Record] = field(default_factory=list[Record])
    waits: list[Stay] = field(default_factory=list[Stay])
    taken: bool = False
    too_late: int = 0


class Writer:
    """Everything that is written of runs; every method runs on the store's thread.

    Args:
        instance: gives this process's id.
        on_written: told of each write of changes.
    """

    def __init__(
        self,
        key: Keys,
        rules: Settling,
        instance: Callable[[], str],
        on_written: Callable[[Written], None],
    ) -> None:
        self.key, self.rules, self._instance, self._on_written = key, rules, instance, on_written

    def write(self, client: Any, generation_id: str, changes: Sequence[Change]) -> None:
        """Apply changes to a generation's runs, in order.

        Raises:
            redis.RedisError: Redis does not answer, or not in time.
        """
        done = self._step(client, generation_id, changes)
        if done is not None:
            self._on_written(done)

    def _step(self, client: Any, generation_id: str, changes: Sequence[Change]) -> Written | None:
        name = self.key.run(generation_id)
        with client.pipeline() as pipe:
            for _ in range(_TRIES):
                pipe.watch(name)
                was = Record.load(pipe.hget(name, "record"))
                had_open = was.holders() if was else set[str]()
                applied = self._apply(was, generation_id, changes)
                record, waits = applied.record, applied.waits
                if record is None or not applied.taken:
                    pipe.reset()
                    return None
                waited = any(stay.state is State.PROVIDER_RUN for stay in waits)
                polls = self._polled(pipe, record) if waited else 0
                pipe.multi()
                for earlier in applied.before:
                    self._put(pipe, self.key.earlier(generation_id, earlier.mark), earlier)
                    self._settle(pipe, earlier)
                self._put(pipe, name, record)
                self._index(pipe, record, had_open)
                if _executed(pipe):
                    return Written(record, waits, polls, applied.too_late)
        raise TimeoutError(f"{_TRIES} other writes came in between")

    def _apply(
        self, record: Record | None, generation_id: str, changes: Sequence[Change]
    ) -> _Applied:
        known = set(record.ledger.stays()) if record is not None else set[Stay]()
        all_of_it = _Applied(record)
        for change in changes:
            applied = apply(all_of_it.record, generation_id, change, self.rules)
            all_of_it.record = applied.record
            all_of_it.taken = all_of_it.taken or applied.taken
            all_of_it.too_late += applied.too_late
            if applied.before is not None:
                known = set()
                all_of_it.before += [applied.before] * (not applied.before.written)
        record = all_of_it.record
        if record is not None:
            all_of_it.waits = [stay for stay in record.ledger.stays() if stay not in known]
            for stay in all_of_it.waits:
                record.waits[stay.state.value] = record.waits.get(stay.state.value, 0) + 1
        return all_of_it

    def _polled(self, client: Any, record: Record) -> int:
        """The polls that no wait for the provider has told of yet."""
        before = record.counts.get(names.POLLS, 0)
        record.counts[names.POLLS] = max(before, polls_of(client, self.key, record))
        return record.counts[names.POLLS] - before

    def _put(self, pipe: Any, name: str, record: Record) -> None:
        pipe.hset(name, mapping=fields_of(record))
        pipe.expire(name, keys.ENDED_TTL_S if record.written else keys.LIVE_TTL_S)

    def _index(self, pipe: Any, record: Record, had_open: set[str]) -> None:
        """What is looked for by something else than the generation's id."""
        has_open = record.holders()
        for instance in has_open - had_open:
            pipe.sadd(self.key.open(instance), record.generation_id)
            pipe.expire(self.key.open(instance), keys.LIVE_TTL_S)
        for instance in had_open - has_open:
            pipe.srem(self.key.open(instance), record.generation_id)
        self._settle(pipe, record)
        pipe.set(self.key.trace(record.trace), record.generation_id, ex=keys.LIVE_TTL_S)

    def _settle(self, pipe: Any, record: Record) -> None:
        """Enter the run where those stand whose end becomes certain, or strike it out."""
        due_ns = record.due_ns(self.rules)
        if due_ns:
            pipe.zadd(self.key.settling, {member_of(record): due_ns / 1e9})
        else:
            pipe.zrem(self.key.settling, member_of(record))

    # -- the dead --------------------------------------------------------------------------
    def bury(self, client: Any, generation_id: str, instance: str, last_ns: int) -> None:
        """Close what a process that died had open in a run, and end what it was about to end.

        Args:
            last_ns: its last sign of life, as far as is known outside the run.
        """
        record = self.read(client, generation_id)
        if record is None or instance not in record.holders():
            return
        left, came = record.left_by(instance), record.came(instance)
        last_ns = max(last_ns, record.heard.get(instance, 0))
        over = Event(Kind.NOT_SUBMITTED, last_ns), Event(Kind.JOB_OVER, last_ns)
        change = Change(
            self._instance(),
            0,  # one of this process's own may be waiting still
            came[1] if came is not None else last_ns,
            events=over if any(not span.end_ns for span in left) and came is None else (),
            status=came[0] if came is not None else "",
            incomplete=(names.WORKER_DIED,),
            closed=tuple(span.span_id for span in left),
            buried=instance,
            existing_only=True,
        )
        done = self._step(client, generation_id, [change])
        if done is not None:
            self._on_written(done)

    def read(self, client: Any, generation_id: str) -> Record | None:
        """The generation's current record."""
        return Record.load(client.hget(self.key.run(generation_id), "record"))

    def restore(self, client: Any, record: Record) -> None:
        """Write a run that ended again, where Redis knows nothing of its generation any more."""
        name = self.key.run(record.generation_id)
        with client.pipeline() as pipe:
            pipe.watch(name)
            if pipe.exists(name):
                pipe.reset()
                return
            if names.NO_STORE not in record.incomplete:
                record.incomplete.append(names.NO_STORE)
            pipe.multi()
            self._put(pipe, name, record)
            self._settle(pipe, record)
            _executed(pipe)

    # -- settling --------------------------------------------------------------------------
    def claim(self, client: Any, member: str) -> Record | None:
        """Take a run whose end is certain, to write its span; None where there is none to take."""
        generation_id, _, mark = member.rpartition("#")
        with client.pipeline() as pipe:
            for _ in range(_TRIES):
                name, record = self._settled(pipe, generation_id, mark)
                now_ns = time.time_ns()
                due_ns = record.due_ns(self.rules) if record is not None else 0
                if record is None or not due_ns:
                    pipe.reset()
                    client.zrem(self.key.settling, member)
                    return None
                leased = record.claimed and now_ns - record.claimed_ns < LEASE_S * 1e9
                if due_ns > now_ns or leased:
                    pipe.reset()
                    return None  # it stands there under a later time by now
                self._polled(pipe, record)
                record.claimed, record.claimed_ns = self._instance(), now_ns
                pipe.multi()
                pipe.hset(name, "record", record.dump())
                pipe.zadd(self.key.settling, {member: time.time() + LEASE_S})
                if _executed(pipe):
                    return record
        return None

    def _settled(self, pipe: Any, generation_id: str, mark: str) -> tuple[str, Record | None]:
        """A run under WATCH: the generation's current one, or one before it."""
        for name in (self.key.run(generation_id), self.key.earlier(generation_id, mark)):
            pipe.watch(name)
            record = Record.load(pipe.hget(name, "record"))
            if record is not None and record.mark == mark:
                return name, record
        return "", None

    def confirm(self, client: Any, claimed: Record, success: bool) -> None:
        """The exporter has taken the run's span, or has not: then somebody tries again."""
        with client.pipeline() as pipe:
            for _ in range(_TRIES):
                name, record = self._settled(pipe, claimed.generation_id, claimed.mark)
                if record is None or record.claimed_ns != claimed.claimed_ns:
                    pipe.reset()
                    return  # put back, or somebody else's by now
                record.written, record.claimed, record.claimed_ns = success, "", 0
                pipe.multi()
                self._put(pipe, name, record)
                if success:
                    pipe.zrem(self.key.settling, member_of(record))
                    past = {"trace": record.trace, "number": record.number}
                    pipe.hset(self.key.past(record.generation_id), mapping=past)
                    pipe.expire(self.key.past(record.generation_id), keys.PAST_TTL_S)
                else:
                    again_s = time.time() + AGAIN_S
                    pipe.zadd(self.key.settling, {member_of(record): again_s})
                if _executed(pipe):
                    return


def member_of(record: Record) -> str:
    """The run's name in the settling set."""
    return f"{record.generation_id}#{record.mark}"


def _executed(pipe: Any) -> bool:
    """Run the transaction; False where somebody else wrote in between."""
    from redis.exceptions import WatchError

    try:
        pipe.execute()
    except WatchError:
        return False
    return True
