"""Writes the runs' records to Redis, each change in one atomic step, and what comes of it.

A record is read under WATCH, changed by :func:`gentrace.runtime.runs.record.apply` and written in
MULTI/EXEC, which Redis takes only if nobody else wrote it in between. What became certain by a
write (a wait that is over) is handed on once, by whoever wrote it. Who writes a run's span is
:mod:`gentrace.runtime.runs.leases`' matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gentrace.core import names
from gentrace.core.run.times import Event, Kind, State
from gentrace.runtime.runs import keys
from gentrace.runtime.runs.apply import apply
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.keys import Keys
from gentrace.runtime.runs.ledger import Stay
from gentrace.runtime.runs.polls import polls_of
from gentrace.runtime.runs.record import VERSION, Record, fields_of
from gentrace.runtime.runs.status import Settling

TRIES = 50


@dataclass(frozen=True, slots=True)
class Written:
    """A write that Redis took.

    Attributes:
        waits: what the run spent between its events, as far as this write made it certain.
        polls: how often the provider was asked in the wait for it that is over.
        too_late: changes that came when the span of their run was written already.
        begun: the run began with it, after another.
    """

    record: Record
    waits: Sequence[Stay] = ()
    polls: int = 0
    too_late: int = 0
    begun: bool = False


@dataclass(slots=True)
class _Applied:
    """What became of several changes; ``before`` are earlier runs that still want writing."""

    record: Record | None
    before: list[Record] = field(default_factory=list[Record])
    waits: list[Stay] = field(default_factory=list[Stay])
    taken: bool = False
    too_late: int = 0
    begun: bool = False


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
        self.key, self.rules, self.instance, self._on_written = key, rules, instance, on_written

    def write(self, client: Any, generation_id: str, changes: Sequence[Change]) -> bool:
        """Apply changes to a generation's runs, in order; False where they have no place there.

        Raises:
            redis.RedisError: Redis does not answer, or not in time.
        """
        done = self._step(client, generation_id, changes)
        if done is not None:
            self._on_written(done)
        return done is not None

    def _step(self, client: Any, generation_id: str, changes: Sequence[Change]) -> Written | None:
        name = self.key.run(generation_id)
        with client.pipeline() as pipe:
            for _ in range(TRIES):
                pipe.watch(name)
                was, is_theirs = self.read_as_is(pipe, name)
                if is_theirs:
                    return None
                had_open = was.holders() if was else set[str]()
                applied = self._apply(was, generation_id, changes)
                record, waits = applied.record, applied.waits
                if record is None:
                    return None
                if not applied.taken:  # Redis took it, and its answer was lost
                    ended = _ended_by(changes, record.ledger.stays())
                    return Written(record, ended, record.counts.get(names.POLLS, 0))
                waited = any(stay.state is State.PROVIDER_RUN for stay in waits)
                polls = self.polled(pipe, record) if waited else 0
                pipe.multi()
                for earlier in applied.before:
                    self.put(pipe, self.key.earlier(generation_id, earlier.mark), earlier)
                    self.enter(pipe, earlier)
                self.put(pipe, name, record)
                self._index(pipe, record, had_open)
                if executed(pipe):
                    return Written(record, waits, polls, applied.too_late, applied.begun)
        raise TimeoutError(f"{TRIES} other writes came in between")

    def read_as_is(self, client: Any, name: str) -> tuple[Record | None, bool]:
        """The record there, and whether it is one that only a later gentrace can read."""
        text, version = client.hmget(name, ("record", "version"))
        record = Record.load(text)
        later = str(version or "").isdecimal() and int(version) > VERSION
        return record, record is None and later

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
                known, all_of_it.begun = set(), True
                all_of_it.before += [applied.before] * (not applied.before.written)
        record = all_of_it.record
        if record is not None:
            all_of_it.waits = [stay for stay in record.ledger.stays() if stay not in known]
            for stay in all_of_it.waits:
                record.waits[stay.state.value] = record.waits.get(stay.state.value, 0) + 1
        return all_of_it

    def polled(self, client: Any, record: Record) -> int:
        """The polls that no wait for the provider has told of yet."""
        before = record.counts.get(names.POLLS, 0)
        record.counts[names.POLLS] = max(before, polls_of(client, self.key, record))
        return record.counts[names.POLLS] - before

    def put(self, pipe: Any, name: str, record: Record) -> None:
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
        self.enter(pipe, record)
        pipe.set(self.key.trace(record.trace), record.generation_id, ex=keys.LIVE_TTL_S)

    def enter(self, pipe: Any, record: Record) -> None:
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
        broken = {span.name for span in left if not span.end_ns and not span.trace}
        over = [Event(kind, last_ns) for name, kind in _BREAKS_OFF.items() if name in broken]
        change = Change(
            self.instance(),
            0,  # one of this process's own may be waiting still
            came[1] if came is not None else last_ns,
            events=tuple(over) if came is None else (),
            status=came[0] if came is not None else "",
            incomplete=(names.WORKER_DIED,) if over or came is not None else (),
            closed=tuple(span.span_id for span in left),
            buried=instance,
            existing_only=True,
        )
        done = self._step(client, generation_id, [change])
        if done is not None:
            self._on_written(done)

    def missing(self, client: Any, generation_id: str, told: Sequence[Change]) -> Sequence[Change]:
        """Those changes of a process that died which nobody has written."""
        record = self.read(client, generation_id)
        if record is not None:
            return [each for each in told if each.seq > record.seen.get(each.instance, 0)]
        over = client.hget(self.key.past(generation_id), "trace")
        return [each for each in told if not over or each.trace != over]  # that span is out

    def read(self, client: Any, generation_id: str) -> Record | None:
        """The generation's current record."""
        return Record.load(client.hget(self.key.run(generation_id), "record"))


_BREAKS_OFF = {
    names.PROVIDER_EXECUTE: Kind.NOT_SUBMITTED,
    names.PROCESS_GENERATION: Kind.JOB_OVER,
}
"""What ends with a process that dies in it; another's death leaves a job alone."""


def _ended_by(changes: Sequence[Change], stays: Iterable[Stay]) -> list[Stay]:
    """The stretches that these changes may have ended."""
    first_ns = min((e.at_ns for change in changes for e in change.events), default=None)
    return [] if first_ns is None else [stay for stay in stays if stay.end_ns >= first_ns]


def member_of(record: Record) -> str:
    """The run's name in the settling set."""
    return f"{record.generation_id}#{record.mark}"


def executed(pipe: Any) -> bool:
    """Run the transaction; False where somebody else wrote in between."""
    from redis.exceptions import WatchError

    try:
        pipe.execute()
    except WatchError:
        return False
    return True
