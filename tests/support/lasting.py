"""How long something takes on a machine that is busy with other things.

A thread that is ready to run and gets no CPU waits for the machine, not for what a test is about.
Linux tells how long each thread waited so; elsewhere nothing is taken off.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

PROC = Path("/proc")


class Ending(Protocol):
    """A program that will end."""

    @property
    def pid(self) -> int: ...
    @property
    def alive(self) -> bool: ...


class Lasting:
    """The seconds that programs go on from now on, without what they wait for a CPU.

    The wait is that of the thread that waited longest: a program's threads wait for each other.
    """

    def __init__(self, programs: Sequence[Ending]) -> None:
        self._programs = programs
        self._begun_s = time.monotonic()
        self._before = {each.pid: _waits_s(PROC / str(each.pid) / "task") for each in programs}
        self._waits: dict[int, dict[str, float]] = {each.pid: {} for each in programs}
        self._seconds = dict.fromkeys(self._before, 0.0)

    def over(self) -> bool:
        """Whether all have ended; to be asked often, as a program tells nothing after its end."""
        return not [each for each in self._programs if self._goes_on(each)]

    @property
    def seconds(self) -> list[float]:
        """How long each has lasted, in their order."""
        return [self._seconds[each.pid] for each in self._programs]

    def _goes_on(self, program: Ending) -> bool:
        if not program.alive:
            return False
        now_s, before = time.monotonic(), self._before[program.pid]
        waits = self._waits[program.pid]
        for thread, waited_s in _waits_s(PROC / str(program.pid) / "task").items():
            waits[thread] = waited_s - before.get(thread, 0.0)
        self._seconds[program.pid] = now_s - self._begun_s - max(waits.values(), default=0.0)
        return True


@contextmanager
def lasting(*asked: Ending) -> Generator[list[float]]:
    """The seconds of the block on this thread, without what it waits for a CPU; one number.

    Args:
        asked: programs that this thread waits for in the block; their main threads' waits for a
            CPU are taken off, too.
    """
    found: list[float] = []
    threads = ["thread-self", *(str(each.pid) for each in asked)]
    files = [PROC / thread / "schedstat" for thread in threads]
    begun_s, waited_s = time.monotonic(), sum(map(_wait_s, files))
    yield found
    found.append(time.monotonic() - begun_s - (sum(map(_wait_s, files)) - waited_s))


def stretch(programs: Sequence[Ending]) -> float:
    """How many times as long as on a machine of their own these programs took for their work."""
    runs_s = waits_s = 0.0
    for program in programs:
        with suppress(OSError):
            for thread in (PROC / str(program.pid) / "task").iterdir():
                runs_s += _told_s(thread / "schedstat", 0)
                waits_s += _wait_s(thread / "schedstat")
    return (runs_s + waits_s) / runs_s if runs_s else 1.0


def _waits_s(threads: Path) -> dict[str, float]:
    with suppress(OSError):
        return {each.name: _wait_s(each / "schedstat") for each in threads.iterdir()}
    return {}


def _wait_s(schedstat: Path) -> float:
    return _told_s(schedstat, 1)


def _told_s(schedstat: Path, place: int) -> float:
    """Its numbers are the time on a CPU and on the run queue, in nanoseconds, and a count."""
    with suppress(OSError, ValueError, IndexError):
        return int(schedstat.read_text(encoding="ascii").split()[place]) / 1e9
    return 0.0
