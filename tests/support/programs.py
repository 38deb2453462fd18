"""Programs under test: started with a clean environment, stopped by their own process group.

Whatever a program prints goes into one log; lines that start with ``gentrace:`` are what gentrace
said in it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.lasting import Lasting
from tests.support.waiting import PATIENCE_S
from tools.running import die_with_us

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
_KEPT = ("LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH")


class ProgramFailed(Exception):
    """A program that ended or did not do in time what was awaited; the text ends with its log."""


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment with nothing of the caller's gentrace, OpenTelemetry or Python settings."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    given = dict(extra or {})
    if str(ROOT) in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        # A tree that is not the installed one is under test
        paths = [path for path in (given.get("PYTHONPATH", ""), str(ROOT)) if path]
        given["PYTHONPATH"] = os.pathsep.join(paths)
    return {
        **kept,
        "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **given,
    }


def run(
    command: Sequence[str], home: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end in a clean environment, whatever its exit code."""
    return subprocess.run(
        command,
        env=clean_environment(home, env),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class Program:
    """One started program, alone in a process group of its own.

    Args:
        log: everything that it prints is appended here.
    """

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self.name, self.log = name, log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*die_with_us(signal.SIGKILL), *command],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id; the program's children are in its process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the program itself still runs."""
        return self._process.poll() is None

    def text(self) -> str:
        """What it printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def said(self) -> list[str]:
        """What gentrace said in it so far."""
        return [line for line in self.text().splitlines() if line.startswith("gentrace:")]

    def wait_until(self, holds: Callable[[], bool], what: str, timeout: float = PATIENCE_S) -> None:
        """Poll until that holds.

        Raises:
            ProgramFailed: it does not within the time, or the program ended.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            alive = self.alive
            with suppress(OSError):
                if holds():
                    return
            if not alive:
                break
            time.sleep(0.02)
        state = f"not within {timeout:.0f} s" if self.alive else f"ended: {self._process.poll()}"
        last = "\n".join(self.text().splitlines()[-30:])
        raise ProgramFailed(f"{self.name}: {what}: {state}\n{last}")

    def wait_for(self, text: str, timeout: float = PATIENCE_S) -> None:
        """Poll until it has printed that."""
        self.wait_until(lambda: text in self.text(), f"prints {text!r}", timeout)

    def send(self, how: signal.Signals) -> None:
        """Send the program itself a signal, if it still runs."""
        if self.alive:
            self._process.send_signal(how)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = PATIENCE_S) -> float:
        """Signal the program, wait for its end and return the seconds that it took.

        Raises:
            ProgramFailed: it had to be killed.
        """
        return stop_together([self], how, timeout)[0]

    def end_group(self) -> None:
        """Kill whatever is left of the program and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)


def stop_together(
    programs: Sequence[Program],
    how: signal.Signals = signal.SIGTERM,
    timeout: float = PATIENCE_S,
) -> list[float]:
    """Signal all, wait for their ends and return the seconds that each took, as `Lasting` counts.

    Raises:
        ProgramFailed: one had to be killed.
    """
    took = Lasting(programs)
    end = time.monotonic() + timeout
    try:
        for program in programs:
            program.send(how)
        while not took.over() and time.monotonic() < end:
            time.sleep(0.005)
    finally:
        late = [program.name for program in programs if program.alive]
        for program in programs:
            program.end_group()
    if late:
        raise ProgramFailed(f"did not end within {timeout} s: {', '.join(late)}")
    return took.seconds
