"""Signs of life: what this process is doing, told to the others at most every 15 s and at exit.

Routine work (polls that change nothing, cron ticks) changes memory only; this record carries it
out, to Redis for the other processes and to the spool for the commands. A process whose record
runs out without a mark of its exit has died.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from gentrace.runtime.store.keys import BEAT_TTL_S, Keys

EVERY_S = 15.0
UNASKED_S = 600.0
_MAX_WAITING = 1000


@dataclass(slots=True)
class JobInHand:
    """A job that the worker is running now; times are ISO-8601 UTC."""

    function: str
    generation_id: str | None
    started_at: str
    job_try: int | None = None


@dataclass(slots=True)
class CronTicks:
    """A cron job: how often it ran here, when last, and how it failed last."""

    ticks: int = 0
    last_tick: str = ""
    last_error: str = ""
    last_error_at: str = ""


@dataclass(slots=True)
class Awaited:
    """A generation that waits for its provider, as this process's polls saw it.

    Attributes:
        polls: questions that the provider answered; ``last_poll`` is the last of them.
        asking_since: the question that it has not answered yet.
        last_error: how a question failed, if that was the last thing that happened.
    """

    polls: int = 0
    last_poll: str = ""
    asking_since: str = ""
    last_error: str = ""
    last_error_at: str = ""
    provider_status: str = ""
    progress: float | None = None


class Liveness:
    """Keeps the record; every method may be called from any thread and never waits.

    Attributes:
        describe: gives what else the record tells of the process.
        shown: gives what may be written of a record.
        max_jobs: how many jobs this worker takes at once; 0 is not known.
    """

    def __init__(self) -> None:
        self.max_jobs = 0
        self.describe: Callable[[], dict[str, Any]] = dict
        self.shown: Callable[[dict[str, Any]], dict[str, Any]] = lambda record: record
        self.forget()

    def forget(self) -> None:
        """Begin anew (a forked child is a process of its own)."""
        self._lock = threading.Lock()
        self._jobs: dict[str, JobInHand] = {}
        self._crons: dict[str, CronTicks] = {}
        # the last to be asked about comes last, with when that was
        self._awaited: OrderedDict[str, tuple[Awaited, float]] = OrderedDict()
        self._told = 0.0

    def job_started(
        self, job_id: str, function: str, generation_id: str | None, job_try: int | None
    ) -> None:
        """A worker has begun a job."""
        with self._lock:
            self._jobs[job_id] = JobInHand(function, generation_id, now(), job_try)

    def job_over(self, job_id: str) -> None:
        """... and is done with it."""
        with self._lock:
            self._jobs.pop(job_id, None)

    def ticked(self, cron: str, error: str = "") -> None:
        """A cron job ran; ``error`` is the type of what it raised."""
        with self._lock:
            ticks = self._crons.setdefault(cron, CronTicks())
            ticks.ticks += 1
            ticks.last_tick = now()
            if error:
                ticks.last_error, ticks.last_error_at = error, ticks.last_tick

    def asking(self, generation_id: str) -> None:
        """A generation's provider is being asked how it fares."""
        with self._lock:
            self._of(generation_id).asking_since = now()

    def polled(self, generation_id: str, status: str = "", progress: float | None = None) -> None:
        """... and has answered."""
        with self._lock:
            awaited = self._of(generation_id)
            awaited.polls += 1
            awaited.last_poll = now()
            awaited.asking_since = awaited.last_error = awaited.last_error_at = ""
            awaited.provider_status = status or awaited.provider_status
            awaited.progress = progress if progress is not None else awaited.progress

    def answered(self, generation_id: str) -> None:
        """... or has, in words that say nothing of its status."""
        with self._lock:
            self._of(generation_id).asking_since = ""

    def poll_failed(self, generation_id: str, error: str) -> None:
        """... or has not; ``error`` is the type of what was raised."""
        with self._lock:
            awaited = self._of(generation_id)
            awaited.asking_since = ""
            awaited.last_error, awaited.last_error_at = error, now()

    def _of(self, generation_id: str) -> Awaited:
        awaited, _ = self._awaited.pop(generation_id, (Awaited(), 0.0))
        self._awaited[generation_id] = awaited, time.monotonic()
        while len(self._awaited) > _MAX_WAITING:
            self._awaited.popitem(last=False)
        return awaited

    def over(self, generation_id: str) -> None:
        """Nobody waits for that generation's provider any more."""
        with self._lock:
            self._awaited.pop(generation_id, None)

    def doing(self) -> dict[str, Any]:
        """The jobs in hand, the crons and the generations waited for.

        One that was not asked about for :data:`UNASKED_S` has ended elsewhere, or others poll it.
        """
        with self._lock:
            jobs = {job_id: asdict(job) for job_id, job in self._jobs.items()}
            crons = {name: asdict(ticks) for name, ticks in self._crons.items()}
            since = time.monotonic() - UNASKED_S
            while self._awaited and next(iter(self._awaited.values()))[1] < since:
                self._awaited.popitem(last=False)
            awaited = {i: asdict(each) for i, (each, _) in self._awaited.items()}
        most = {"max_jobs": self.max_jobs} if self.max_jobs else {}
        return {**most, "jobs": jobs, "crons": crons, "awaited": awaited}

    def record(self, ended: bool = False) -> dict[str, Any]:
        """What there is to say now."""
        told = self.shown({**self.describe(), **self.doing()})
        return {**told, "alive": not ended, "last_seen": now()}

    def beat(self, client: Any, key: Keys, instance: str) -> float:
        """Tell Redis, when it is time; returns the seconds until the next time."""
        left = self._told + EVERY_S - time.monotonic()
        if self._told and left > 0:
            return left
        begun = time.monotonic()
        pipe = client.pipeline(transaction=False)
        pipe.zadd(key.processes, {instance: time.time()})
        pipe.set(key.process(instance), json.dumps(self.record()), ex=BEAT_TTL_S)
        pipe.execute()
        self._told = begun
        return EVERY_S

    def leave(self, client: Any, key: Keys, instance: str) -> None:
        """Tell Redis that this process ends by itself; it is silent for a while then."""
        self._told = time.monotonic()
        pipe = client.pipeline(transaction=False)
        pipe.zrem(key.processes, instance)
        pipe.set(key.process(instance), json.dumps(self.record(ended=True)), ex=BEAT_TTL_S)
        pipe.execute()


def now() -> str:
    """The time as the records give it: ISO-8601 UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
