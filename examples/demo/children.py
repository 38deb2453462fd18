"""Child processes of the demo: started with a log each, watched, and stopped whatever happens."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

READY_S, STOP_S, LOG_LINES = 30, 10, 15
STOPPING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]


class DemoFailed(Exception):
    """Why the demo cannot go on, and what to do, for people."""


class PortTaken(DemoFailed):
    """Somebody else took the port after it was found free."""


class Interrupted(BaseException):
    """Ctrl-C, a closed terminal or a SIGTERM; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """Turns the first signal into Interrupted, and never between a child's start and its entry."""

    def __init__(self) -> None:
        self._came = 0
        self._held = False

    def install(self) -> None:
        for number in STOPPING:
            signal.signal(number, self._arrived)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        if self._came:
            return  # everything is being stopped; a second one would only leave something behind
        self._came = number
        if not self._held:
            raise Interrupted(number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A signal that comes inside the block is raised at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            raise Interrupted(self._came)

    def ignore(self) -> None:
        """From here on everything is being stopped, up to the interpreter's own end."""
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)


signals = Signals()


class Children:
    """The running children by name, each with its log in `logs`."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        ready: Callable[[], bool],
    ) -> None:
        """Starts one and returns when it is ready; raises DemoFailed when it ends or is late."""
        log = self.log(name)
        with signals.held(), log.open("wb") as output:
            process = self._running[name] = subprocess.Popen(
                [*_die_with_us(), *command],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + READY_S
        while not _is_so(ready):
            if process.poll() is not None and b"ddress already in use" in log.read_bytes():
                del self._running[name]
                raise PortTaken(f"{name} found its port taken again and again.{self._tail(name)}")
            self.check()
            if time.monotonic() > end:
                raise DemoFailed(f"{name} was not ready within {READY_S} s.{self._tail(name)}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raises DemoFailed with the end of its log if a child has ended."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
                raise DemoFailed(f"{name} {how}.{self._tail(name)}")

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def stop(self, *names: str) -> None:
        """Asks those named, or all, to end; ends by force what does not within STOP_S."""
        stopping = [self._running[name] for name in names or self._running]
        for process in stopping:
            with suppress(ProcessLookupError):
                process.terminate()
        end = time.monotonic() + STOP_S
        for process in stopping:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in names or tuple(self._running):
            del self._running[name]

    def _tail(self, name: str) -> str:
        path = self.log(name)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return "".join([f" The end of {path}:", *(f"\n    {line}" for line in lines)])


def on_a_free_port(start: Callable[[int], None], free_port: Callable[[], int]) -> int:
    """Starts a server and returns its port; takes another when somebody else was faster."""
    for _ in range(2):
        with suppress(PortTaken):
            start(port := free_port())
            return port
    start(port := free_port())
    return port


def _die_with_us() -> list[str]:
    """A prefix that ends the child when this process is killed by force; Linux only."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _is_so(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except OSError:
        return False
