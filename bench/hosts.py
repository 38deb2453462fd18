"""The small host as real processes, once for each variant: started, driven, its spans counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import certifi
from sqlalchemy import Engine, create_engine, text

from tools.servers import HOST, RedisServer, free_ports

ROOT = Path(__file__).resolve().parents[1]
SMALL_HOST = ROOT / "examples" / "small_host"
APP = "pixsim7.backend.main.main:app"
WORKER = ("arq", "pixsim7.backend.main.workers.arq_worker.WorkerSettings")
READY_S, DONE_S, STOP_S = 90, 180, 10
ONE = {"generationType": "text_to_video", "style": {"pixverse": {"model": "v5"}}}
WITH_STATUS = "SELECT lower(status), count(*) FROM generations GROUP BY lower(status)"
FINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Variant:
    """One way to run the host's two programs.

    Attributes:
        env: what is set in the environment of each.
        prefix: what stands before the command of each.
        scripts: the folder of `uvicorn` and of the worker's command; this environment's.
        named: the environment variable that gets a program's name, `api` or `worker`.
    """

    name: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    prefix: tuple[str, ...] = ()
    scripts: Path = Path(sys.executable).parent
    named: str = ""

    def program(self, name: str) -> dict[str, str]:
        """The environment of one of them."""
        return {**self.env, **({self.named: name} if self.named else {})}


@dataclass
class Host:
    """A running API and worker of one variant, with a Redis and a database of their own."""

    variant: Variant
    folder: Path
    api: subprocess.Popen[bytes]
    worker: subprocess.Popen[bytes]
    url: str
    database: Engine
    asked: int = 0

    @property
    def pids(self) -> tuple[int, int]:
        return self.api.pid, self.worker.pid

    def ask(self) -> None:
        """Asks for one more generation."""
        self.asked += 1
        config = {**ONE, "prompt": f"a lighthouse in the rain, number {self.asked}"}
        post(f"{self.url}/api/v1/generations", {"provider_id": "pixverse", "config": config})

    def generate(self, count: int, gap_s: float) -> None:
        """Asks for that many generations, one every `gap_s`, and waits until all are over."""
        for _ in range(count):
            self.ask()
            time.sleep(gap_s)
        self.wait()

    def wait(self) -> None:
        """Until everything that was asked for is over."""
        _until(lambda: self.over() >= self.asked, DONE_S, f"{self.variant.name}: generations")

    def over(self) -> int:
        """Generations with a final status, by the database: asking the API would cost CPU."""
        by_status = self.by_status()
        return sum(by_status.get(status, 0) for status in FINAL)

    def by_status(self) -> dict[str, int]:
        """How many generations have each status."""
        with self.database.connect() as connection:
            return {str(status): count for status, count in connection.execute(text(WITH_STATUS))}


@contextmanager
def kept_if_it_fails() -> Generator[Path]:
    """A temporary folder that goes away again, unless something fails: then its logs tell why."""
    folder = Path(tempfile.mkdtemp(prefix="gentrace-bench-"))
    try:
        yield folder
    except Exception:
        print(f"the programs' logs are in {folder}", file=sys.stderr, flush=True)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def standin(folder: Path) -> Generator[str]:
    """The provider's stand-in in a process of its own; yields its URL."""
    (port,) = free_ports(1)
    program = [sys.executable, str(SMALL_HOST / "provider_standin.py"), "--port", str(port)]
    url = f"http://{HOST}:{port}"
    with process(program, folder / "standin.log", environment()):
        _until(lambda: answers(url), READY_S, "the stand-in")
        yield url


@contextmanager
def receiver(folder: Path, name: str = "received") -> Generator[tuple[str, Path]]:
    """A receiver (bench/receivers) in a process of its own; yields its address and its file."""
    (port,) = free_ports(1)
    out = folder / f"{name}.jsonl"
    program = [sys.executable, "-m", "bench.receivers", "--port", str(port), "--out", str(out)]
    url = f"http://{HOST}:{port}"
    with process(program, folder / f"{name}.log", {**environment(), "PYTHONPATH": str(ROOT)}):
        _until(lambda: answers(url), READY_S, "the receiver")
        yield url, out


@contextmanager
def host(
    variant: Variant,
    folder: Path,
    redis: RedisServer,
    database: str,
    provider: str,
    worker_command: Sequence[str] = WORKER,
) -> Generator[Host]:
    """API and worker of one variant; the API is ready.

    `database` is SQLAlchemy's URL without a driver, the worker's command a script of this
    environment and its arguments.
    """
    folder.mkdir()
    (port,) = free_ports(1)
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    kind = database.partition(":")[0]
    env = {
        **environment(),
        "DATABASE_URL": database.replace(kind, drivers[kind], 1),
        "REDIS_URL": redis.url,
        "PROVIDER_BASE_URL": provider,
        "MEDIA_DIR": str(folder / "media"),
        "ACCOUNT_SLOTS": "100",  # so that no generation waits for an account
        "DISPATCH_STAGGER_MAX_SECONDS": "0",  # nor is held back at random
        "SSL_CERT_FILE": str(_one_authority(folder)),
        "GENTRACE_SPOOL": str(folder / "spool"),
    }
    uvicorn = [str(variant.scripts / "uvicorn"), APP, "--port", str(port), "--log-level", "warning"]
    arq = [str(variant.scripts / worker_command[0]), *worker_command[1:]]
    with ExitStack() as stack:

        def start(name: str, command: list[str]) -> subprocess.Popen[bytes]:
            own = {**env, **variant.program(name)}
            log = folder / f"{name}.log"
            return stack.enter_context(process([*variant.prefix, *command], log, own))

        api = start("api", uvicorn)
        url = f"http://{HOST}:{port}"
        _until(lambda: answers(f"{url}/health"), READY_S, f"{variant.name}: the API")
        worker = start("worker", arq)
        engine = create_engine(database.replace("postgresql:", "postgresql+psycopg:", 1))
        stack.callback(engine.dispose)
        yield Host(variant, folder, api, worker, url, engine)


def _one_authority(folder: Path) -> Path:
    """A bundle of one certificate.

    The small host makes an httpx client for each call, and with certifi's bundle each takes some
    20 ms of CPU: more than all else in a generation, and beside it every instrumentation is cheap.
    """
    mark = "-----END CERTIFICATE-----"
    first = certifi.contents().partition(mark)[0] + mark + "\n"
    path = folder / "authority.pem"
    path.write_text(first, encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    """Nothing of the caller's that could switch tracing on or change what is measured."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(SMALL_HOST), "PYTHONHASHSEED": "0"}


@contextmanager
def process(
    command: list[str], log: Path, env: Mapping[str, str]
) -> Generator[subprocess.Popen[bytes]]:
    """A program for the length of the block; its output goes to the log."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            command, cwd=log.parent, env=dict(env), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(STOP_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def post(url: str, body: Mapping[str, object]) -> None:
    """Sends JSON; anything but 2xx is an error."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()


def answers(url: str) -> bool:
    """Does anything answer there, whatever it says?"""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _until(ready: Callable[[], bool], within_s: float, what: str) -> None:
    end = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within_s} s")
        time.sleep(0.1)
