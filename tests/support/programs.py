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

from tests.support import servers

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
READY_S, STOP_S = 45, 30
_KEPT = ("LANG", "LC_ALL", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH")


class ProgramFailed(Exception):
    """A program that ended or did not do in time what was awaited; the text ends with its log."""


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment with nothing of the caller's gentrace, OpenTelemetry or Python settings."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }


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
                [*servers._die_with_us(signal.SIGKILL), *command],
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

    def wait_until(self, holds: Callable[[], bool], what: str, timeout: float = READY_S) -> None:
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

    def wait_for(self, text: str, timeout: float = READY_S) -> None:
        """Poll until it has printed that."""
        self.wait_until(lambda: text in self.text(), f"prints {text!r}", timeout)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = STOP_S) -> float:
        """Signal the program and wait for its end.

        Returns:
            The seconds it took.

        Raises:
            ProgramFailed: it had to be killed.
        """
        started = time.monotonic()
        if self.alive:
            self._process.send_signal(how)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProgramFailed(f"{self.name} did not end within {timeout} s") from None
        finally:
            self._kill_group()
        return time.monotonic() - started

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(STOP_S)
