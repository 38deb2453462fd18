"""Who writes a run's span: whose end is certain is taken under a lease, and given back or written.

Runs that wait for their end to settle stand in a sorted set by that time. Any process takes what
is due; what it does not confirm within :data:`LEASE_S` another takes again. All of it goes by
Redis's own clock, which is the same for every machine.
"""

from __future__ import annotations

from typing import Any

from gentrace.core import names
from gentrace.runtime.runs import keys
from gentrace.runtime.runs.record import Record
from gentrace.runtime.runs.writer import TRIES, Writer, executed, member_of

LEASE_S = 30.0
AGAIN_S = 5.0


def redis_time(client: Any) -> float:
    """Unix time as Redis has it."""
    seconds, micros = client.time()
    return float(seconds) + float(micros) / 1e6


class Leases:
    """Takes runs, gives them back; every method runs on the store's thread."""

    def __init__(self, writer: Writer) -> None:
        self._writer, self._key = writer, writer.key

    def restore(self, client: Any, record: Record) -> None:
        """Write a run that ended again, where Redis knows nothing of its generation any more."""
        name = self._key.run(record.generation_id)
        with client.pipeline() as pipe:
            pipe.watch(name)
            if pipe.exists(name) and not self._has_forgotten(pipe, name, record):
                return
            if names.NO_STORE not in record.incomplete:
                record.incomplete.append(names.NO_STORE)
            pipe.multi()
            self._writer.put(pipe, name, record)
            self._writer.enter(pipe, record)
            executed(pipe)

    def _has_forgotten(self, client: Any, name: str, record: Record) -> bool:
        """Whether what is there began anew when the store was lost, and knows of no end."""
        known, _ = self._writer.read_as_is(client, name)
        same = known is not None and known.mark == record.mark and not known.ended_ns
        return same and known is not None and names.NO_STORE in known.incomplete

    def claim(self, client: Any, member: str, now_s: float) -> Record | None:
        """Take a run whose end is certain, to write its span; None where there is none to take.

        Args:
            now_s: by Redis's own clock, which is the same for all.
        """
        generation_id, _, mark = member.rpartition("#")
        now_ns = round(now_s * 1e9)
        with client.pipeline() as pipe:
            for _ in range(TRIES):
                name, record, is_theirs = self._settled(pipe, generation_id, mark)
                if is_theirs:  # it is for a later gentrace to write
                    client.zadd(self._key.settling, {member: now_s + LEASE_S})
                    return None
                due_ns = record.due_ns(self._writer.rules) if record is not None else 0
                if record is None or not due_ns:
                    client.zrem(self._key.settling, member)
                    return None
                leased = record.claimed and now_ns - record.claimed_ns < LEASE_S * 1e9
                if due_ns > now_ns or leased:
                    return None  # it stands there under a later time by now
                self._writer.polled(pipe, record)
                record.claimed, record.claimed_ns = self._writer.instance(), now_ns
                pipe.multi()
                pipe.hset(name, "record", record.dump())
                pipe.zadd(self._key.settling, {member: now_s + LEASE_S})
                if executed(pipe):
                    return record
        return None

    def _settled(self, pipe: Any, generation_id: str, mark: str) -> tuple[str, Record | None, bool]:
        """A run under WATCH: the generation's current one, or one before it.

        The last of the three is whether there is one that only a later gentrace can read.
        """
        is_theirs = False
        for name in (self._key.run(generation_id), self._key.earlier(generation_id, mark)):
            pipe.watch(name)
            record, later = self._writer.read_as_is(pipe, name)
            is_theirs = is_theirs or later
            if record is not None and record.mark == mark:
                return name, record, False
        return "", None, is_theirs

    def confirm(self, client: Any, claimed: Record, success: bool) -> None:
        """The exporter has taken the run's span, or has not: then somebody tries again."""
        with client.pipeline() as pipe:
            for _ in range(TRIES):
                name, record, _ = self._settled(pipe, claimed.generation_id, claimed.mark)
                now_s = redis_time(pipe)
                mine = claimed.claimed, claimed.claimed_ns
                if record is None or (record.claimed, record.claimed_ns) != mine:
                    return  # put back, or somebody else's by now
                record.written, record.claimed, record.claimed_ns = success, "", 0
                pipe.multi()
                self._writer.put(pipe, name, record)
                if success:
                    pipe.zrem(self._key.settling, member_of(record))
                    past = {"trace": record.trace, "number": record.number}
                    pipe.hset(self._key.past(record.generation_id), mapping=past)
                    pipe.expire(self._key.past(record.generation_id), keys.PAST_TTL_S)
                else:
                    pipe.zadd(self._key.settling, {member_of(record): now_s + AGAIN_S})
                if executed(pipe):
                    return
