"""Producers and workers of queue_host as real processes, on one release of ARQ each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import redis

from tests.e2e import reading
from tests.support import programs
from tests.support.otlp_receiver import Span
from tools import servers
from tools.pip_folders import ARQ

HOST = Path(__file__).with_name("queue_host")
INSTALLED = version("arq")
RELEASES_TRIED = tuple(sorted({*ARQ.wanted, INSTALLED}))
AT_ONCE = 3
TRACED, PLAIN = "traced", "plain"


def path_of(release: str) -> list[str]:
    """What goes in front of PYTHONPATH for that release; nothing for the installed one.

    Raises:
        ServiceMissing: it is not here.
    """
    return [] if release == INSTALLED else [str(servers.find("arq") / release)]


def there() -> list[str]:
    """The releases of ARQ that can be tried here."""
    found = [INSTALLED]
    with suppress(servers.ServiceMissing):
        servers.find("arq")
        found = list(RELEASES_TRIED)
    return found


@dataclass(frozen=True)
class Side:
    """A producer or a worker: its release of ARQ, and whether it has gentrace."""

    release: str
    traced: bool

    @property
    def name(self) -> str:
        """Its name in job ids and queues."""
        return f"{self.release} {TRACED if self.traced else PLAIN}"


@dataclass(frozen=True)
class Seen:
    """What became of a job for the host: each try as its function saw it, and ARQ's result."""

    tries: list[list[Any]]
    result: dict[str, Any] | None


@dataclass
class Queues:
    """A Redis of its own, and what runs on it."""

    server: servers.RedisServer
    folder: Path
    said: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def redis(self) -> redis.Redis:
        """A client of the test's own, in bytes."""
        return redis.Redis(port=self.server.port)

    @property
    def spool(self) -> Path:
        """Where all of them write."""
        return self.folder / "spool"

    def environment(self, side: Side, **more: str) -> dict[str, str]:
        """The environment of that side's process."""
        given = {
            "PYTHONPATH": os.pathsep.join([*path_of(side.release), str(HOST)]),
            "REDIS_URL": self.server.url,
            "GENTRACE_PROFILE": str(HOST / "profile.toml"),
            "GENTRACE_SPOOL": str(self.spool),
            "QUEUE": side.name,
            **more,
        }
        if side.traced:
            given["GENTRACE"] = "1"
        return given

    def run(self, module: str, side: Side, *arguments: str, **more: str) -> None:
        """Runs one of queue_host's programs to its end, and keeps what gentrace said in it."""
        command = [sys.executable, "-m", f"queue_host.{module}", *arguments]
        done = programs.run(command, self.folder, self.environment(side, **more))
        assert done.returncode == 0, f"{module} {side.name}: {done.stderr[-3000:]}"
        lines = (done.stdout + done.stderr).splitlines()
        said = [line for line in lines if line.startswith("gentrace:")]
        self.said[f"{module} {side.name}"] = said

    def run_all(self, calls: Iterable[Callable[[], None]]) -> None:
        """Runs some at once."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for done in [threads.submit(call) for call in calls]:
                done.result()

    def worker(self, side: Side, queue: str) -> programs.Program:
        """Starts ``arq`` itself on that queue; it works until it is stopped."""
        command = [sys.executable, "-m", "arq", "queue_host.settings.WorkerSettings"]
        env = programs.clean_environment(self.folder, self.environment(side, QUEUE=queue))
        log = self.folder / f"{side.name}.log"
        return programs.Program(f"arq {side.name}", command, env, self.folder, log)

    def seen(self, job_id: str, load: Callable[[bytes], dict[str, Any]]) -> Seen:
        """What became of that job."""
        with self.redis as client:
            tries: Any = client.lrange(f"seen:{job_id}", 0, -1)
            kept: Any = client.get(f"arq:result:{job_id}")
        return Seen([json.loads(each) for each in tries], load(kept) if kept else None)

    def spans(self) -> list[Span]:
        """All spans in the spool."""
        return reading.spooled(self.spool)


@contextmanager
def queues(failed: servers.Failed | None) -> Generator[Queues]:
    """An empty Redis and an empty spool."""
    with ExitStack() as stack:
        server = stack.enter_context(servers.redis(failed))
        yield Queues(server, stack.enter_context(servers._folder("queues", failed)))


def sides(releases: Sequence[str]) -> list[Side]:
    """Each release, with gentrace and without."""
    return [Side(release, traced) for release in releases for traced in (False, True)]
