"""A server as a process: started, asked until it is ready, paused, killed, started again, stopped.

What is started, and on which ports, is `tools/servers.py`'s matter.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

READY_S, STOP_S = 30, 10


class ServerFailed(Exception):
    """The server is installed but did not start; the text ends with its log's last lines."""


class User(NamedTuple):
    """Whom a server runs as that refuses root."""

    uid: int
    gid: int


class Running:
    """One server with its command: every start of it has the same ports and the same storage.

    A server ends with the thread that started it, so start it again on the test's own thread.

    Args:
        ready: asked until it holds; an OSError means not yet.
        log: everything that it prints is appended here.
        stop: the signal that ends it in its own time.
    """

    def __init__(
        self,
        command: Sequence[str],
        ready: Callable[[], bool],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        user: User | None = None,
        stop: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._command, self._ready, self.log = command, ready, log
        self._env, self._user, self._how = env, user, stop
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether its process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    def begin(self) -> bool:
        """Start it and wait; False when it ended or is not ready in time."""
        with self.log.open("ab") as output:
            command = [*die_with_us(self._how), *self._command]
            self._process = spawn(command, output, self._user, self.log.parent, self._env)
        end = time.monotonic() + READY_S
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError, IndexError):
                if self._ready():
                    return True
            time.sleep(0.02)
        return False

    def start(self) -> None:
        """Start it again, and wait until it is ready.

        Raises:
            ServerFailed: it does not get ready.
        """
        if not self.begin():
            raise self.failure()

    def failure(self) -> ServerFailed:
        """Why it is not ready, with the end of its log."""
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        code = self._process.poll() if self._process else None
        how = f"ended with {code}" if code else "did not get ready"
        return ServerFailed(f"{self.log.stem} {how} (within {READY_S} s):\n{last}")

    def pause(self) -> None:
        """Stop its clock: its ports stay open, and nothing is answered."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after a pause."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL, as the kernel does for want of memory."""
        self._send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(STOP_S)

    def stop(self) -> None:
        """End it by its own signal, and by force when it takes too long; a paused one, too."""
        if self._process is None:
            return
        self._send(self._how)
        if hasattr(signal, "SIGCONT"):
            self.resume()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def _send(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)


def die_with_us(how: signal.Signals) -> list[str]:
    """A prefix that stops a program even when the tests are killed; Linux only."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", how.name.removeprefix("SIG")] if setpriv else []


def spawn(
    command: Sequence[str],
    output: IO[bytes] | int,
    user: User | None,
    cwd: Path | None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program, as another user without root's groups if one is given."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env={**_environment(), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )


def _environment() -> dict[str, str]:
    """Only what a server needs: none of OTEL_*, PG* or Jaeger's own settings reach it."""
    needed = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH")
    kept = {name: os.environ[name] for name in needed if name in os.environ}
    return {**kept, "OTEL_TRACES_SAMPLER": "always_off"}
