"""What is counted of a running host: CPU, context switches, Redis commands, memory, a job's bytes.

Everything is a counter that only grows, so that a stretch is the difference of two readings. Linux
only: /proc and the kernel's CPU clocks.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from bench.measuring import cpu_s

OURS = {"info", "hello", "client|setinfo", "client|setname"}
"""Commands that the bench sends itself, or any client when it connects."""
_SWITCHES = re.compile(r"^(?:non)?voluntary_ctxt_switches:\s+(\d+)$", re.MULTILINE)


class Used(NamedTuple):
    """So much of each; of a stretch, a second or a generation."""

    cpu_s: float
    switches: float
    commands: float

    def times(self, factor: float) -> Used:
        return Used(*(value * factor for value in self))

    def less(self, other: Used) -> Used:
        return Used(*(mine - its for mine, its in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Reading:
    """The counters of one host at one moment."""

    at_ns: int
    used: Used

    def since(self, before: Reading) -> Used:
        return self.used.less(before.used)

    def seconds_since(self, before: Reading) -> float:
        return (self.at_ns - before.at_ns) / 1e9


def a_second(begin: Reading, end: Reading) -> Used:
    """What a host uses in a second while nothing is asked of it."""
    return end.since(begin).times(1 / end.seconds_since(begin))


def a_generation(begin: Reading, end: Reading, generations: int, idle: Used) -> Used:
    """What one generation costs: the stretch, less what the host had used in it anyway.

    Of Redis this leaves out the queue's polling and what gentrace tells and sweeps by the clock;
    `idle` has that.
    """
    more = end.since(begin).less(idle.times(end.seconds_since(begin)))
    return more.times(1 / generations)


def reading(pids: tuple[int, ...], redis: Redis) -> Reading:
    """Everything at once; the processes' CPU is read last, so that reading is not counted."""
    commands = redis_commands(info(redis, "commandstats"))
    switches = sum(context_switches(pid) for pid in pids)
    cpu = sum(cpu_s(pid) for pid in pids)
    return Reading(time.time_ns(), Used(cpu, switches, commands))


def info(redis: Redis, section: str) -> Mapping[str, Any]:
    """One section of Redis's INFO."""
    found: Any = redis.info(section)
    return found


def redis_commands(stats: Mapping[str, Any]) -> int:
    """All commands since the start, those within a transaction or a script too."""
    names = {name: name.removeprefix("cmdstat_").lower() for name in stats}
    return sum(int(each["calls"]) for name, each in stats.items() if names[name] not in OURS)


def context_switches(pid: int) -> int:
    """Of all threads that live, voluntary or not; those of an ended thread are lost."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            total += switches_in(status.read_text(encoding="ascii", errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended
    return total


def switches_in(status: str) -> int:
    """What one thread's `status` file says."""
    return sum(int(number) for number in _SWITCHES.findall(status))


def payload_bytes(redis: Redis, worker: int, ask: Callable[[], None]) -> int:
    """How long the queued job of one generation is.

    The worker stands still meanwhile, so that the job stays queued; `ask` asks for the generation.
    Errors: LookupError where no job is there after that.
    """
    os.kill(worker, signal.SIGSTOP)
    try:
        before = _jobs(redis)
        ask()
        new = {key: size for key, size in _jobs(redis).items() if key not in before}
    finally:
        os.kill(worker, signal.SIGCONT)
    if not new:
        raise LookupError("no job was queued")
    return max(new.values())


def _jobs(redis: Redis) -> dict[bytes, int]:
    """The queued jobs' keys with their lengths; crons queue some, too, with short payloads."""
    keys: Any = redis.keys("arq:job:*")
    lengths: dict[bytes, Any] = {key: redis.strlen(key) for key in keys}
    return {key: int(length) for key, length in lengths.items()}
