"""What is timed is what a test is about, not how busy the machine is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.lasting import Lasting, lasting
from tests.support.programs import Program
from tests.support.waiting import eventually

NEIGHBOURS = 4
WORKS = "import time\nend = time.thread_time() + {0}\nwhile time.thread_time() < end: pass"
SLEEPS = "import time; time.sleep({0})"


@contextmanager
def crowd() -> Generator[None]:
    """One core for this thread, what it starts, and some neighbours that never rest."""
    before = os.sched_getaffinity(0)
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, before)
        os.sched_setaffinity(0, {min(before)})
        for _ in range(NEIGHBOURS):
            running = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"])
            )
            stack.callback(running.kill)
        yield


@pytest.mark.parametrize(("code", "least", "most"), [(WORKS, 0.4, 1.2), (SLEEPS, 0.3, 1.2)])
def test_a_program_lasts_as_long_as_on_a_machine_of_its_own(
    tmp_path: Path, code: str, least: float, most: float
) -> None:
    with crowd():
        command = [sys.executable, "-S", "-E", "-c", code.format(0.5)]
        program = Program("busy", command, {}, tmp_path, tmp_path / "log")
        took, begun = Lasting([program]), time.monotonic()
        eventually(took.over)
        on_the_clock = time.monotonic() - begun
        program.end_group()
    assert least <= took.seconds[0] < most
    # Linux may give a session of its own half of the core, whatever runs in the others (autogroup).
    assert code is SLEEPS or on_the_clock > 1.3 * took.seconds[0]


def test_a_block_lasts_as_long_as_on_a_machine_of_its_own() -> None:
    with crowd(), lasting() as took:
        begun, end = time.monotonic(), time.thread_time() + 0.5
        while time.thread_time() < end:
            pass
        on_the_clock = time.monotonic() - begun
    assert 0.4 <= took[0] < 1.2
    assert on_the_clock > 2 * took[0]
