"""The run store in Redis while things go on, read only: runs, and which processes live.

docs/store.md names the keys. Nothing is ever written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from gentrace.core.errors import SourceError
from gentrace.core.run import fold
from gentrace.core.run.rules import Settling
from gentrace.core.run.run import Run

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A generation's current run, as the store has it.

    Attributes:
        status: the host's word, the last that was committed; empty while none is known.
        state: what the run is doing (:class:`gentrace.core.run.times.State`); empty once it ended.
        since_s: since when, Unix time; ``due_s`` is when a wait is over, 0 where that is open.
        processes: the instances that had a part in it, first to last.
        incomplete: what is missing of it.
        at_work: the instances with a span of it that is not over.
        last_by: the instance that told the last of what moved it.
    """

    generation_id: str
    trace_id: str
    number: int
    status: str
    state: str
    since_s: float
    due_s: float
    processes: Sequence[str] = ()
    incomplete: Sequence[str] = ()
    at_work: Sequence[str] = ()
    last_by: str = ""

    @classmethod
    def of(cls, generation_id: str, run: Run) -> StoredRun:
        """A run as it was folded."""
        times = run.times
        goes_on = times.state is not None and not times.ended
        return cls(
            generation_id,
            run.trace,
            run.number,
            run.status,
            str(times.state.value) if goes_on and times.state is not None else "",
            times.since_ns / 1e9,
            times.due_ns / 1e9,
            tuple(run.processes),
            tuple(run.incomplete),
            tuple(span.instance for span in run.open.values() if not span.end_ns),
            run.last_by,
        )


@dataclass(frozen=True, slots=True)
class LiveProcess:
    """A traced process as Redis knows it.

    Attributes:
        last_s: its last sign of life, Unix time.
        ended: it said that it ends; ``died``: others found it gone without a word.
        record: its last record; empty once that has expired.
    """

    instance: str
    last_s: float
    ended: bool = False
    died: bool = False
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def role(self) -> str:
        """``api``, ``worker``, or empty where it is not known any more."""
        return str(self.record.get("role") or "")

    def part(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """``jobs``, ``crons`` or ``awaited``, by their ids or names."""
        given: Any = self.record.get(name)
        if not isinstance(given, dict):
            return {}
        found = cast("dict[str, Any]", given)
        return {str(k): cast("dict[str, Any]", v) for k, v in found.items() if isinstance(v, dict)}


class LiveStore:
    """Reads one profile's part of a Redis.

    Args:
        url: the Redis that ARQ uses, or the one that GENTRACE_REDIS_URL names.
        profile: the profile's name; ``environment`` is the host's, where its keys have one.
        rules: what the profile rules on statuses.
    """

    def __init__(self, url: str, profile: str, rules: Settling, environment: str = "") -> None:
        import redis

        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._rules = rules
        self._prefix = ":".join(("gentrace", profile, *([environment] if environment else []), ""))
        try:
            self._redis: Any = redis.Redis.from_url(
                url,
                decode_responses=True,
                encoding_errors="replace",
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
            )
        except ValueError as exc:
            raise SourceError(f"the run store's address is none: {exc}") from None

    def close(self) -> None:
        """Let the connection go."""
        self._redis.close()

    def run(self, generation_id: str) -> StoredRun | None:
        """The generation's current run; None where the store knows of none.

        Raises:
            SourceError: Redis does not answer, or not with a run.
        """
        fields: Mapping[str, str] = self._ask("hgetall", self._prefix + f"run:{generation_id}")
        texts: list[str] = self._ask("lrange", self._prefix + f"events:{generation_id}", 0, -1)
        current = fold.read(texts, self._rules, fold.traces_of(fields)).current
        return None if current is None else StoredRun.of(generation_id, current)

    def processes(self) -> list[LiveProcess]:
        """The processes of the last day, the last heard of first.

        Raises:
            SourceError: Redis does not answer.
        """
        known: dict[str, float] = dict(self._scores("processes"))
        died: dict[str, float] = dict(self._scores("deaths"))
        told = {key.rpartition(":")[2] for key in self._keys("process:*")}
        found = [
            self._process(instance, known.get(instance, died.get(instance, 0.0)), instance in died)
            for instance in {*known, *died, *told}
        ]
        return sorted(found, key=lambda each: each.last_s, reverse=True)

    def _process(self, instance: str, last_s: float, died: bool) -> LiveProcess:
        record = _json(self._ask("get", self._prefix + f"process:{instance}"))
        ended = record.get("alive") is False
        return LiveProcess(instance, last_s, ended, died and not ended, record)

    def _scores(self, name: str) -> Iterable[tuple[str, float]]:
        return self._ask("zrange", self._prefix + name, 0, -1, withscores=True)

    def _keys(self, pattern: str) -> list[str]:
        return self._ask("scan_all", self._prefix + pattern)

    def _ask(self, command: str, *args: Any, **options: Any) -> Any:
        try:
            if command == "scan_all":
                return list(self._redis.scan_iter(args[0], count=1000))
            return getattr(self._redis, command)(*args, **options)
        except self._errors as exc:
            kind = type(exc).__name__
            raise SourceError(f"the run store in Redis cannot be read: {kind}") from None


def _json(text: str | None) -> Mapping[str, Any]:
    try:
        found: Any = json.loads(text or "{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
