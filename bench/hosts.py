"""The small host as real processes, once for each variant: started, driven, its spans counted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import certifi
from sqlalchemy import Engine, create_engine, text

from bench.measuring import cpu_s
from tests.support.otlp_receiver import read_spans
from tools.servers import HOST, RedisServer, free_ports

ROOT = Path(__file__).resolve().parents[1]
SMALL_HOST = ROOT / "examples" / "small_host"
APP = "pixsim7.backend.main.main:app"
WORKER = ("arq", "pixsim7.backend.main.workers.arq_worker.WorkerSettings")
READY_S, DONE_S, STOP_S = 40, 60, 10
MARK = "bench.variant"
ONE = {"generationType": "text_to_video", "style": {"pixverse": {"model": "v5"}}}
OVER = "SELECT count(*) FROM generations WHERE lower(status) IN ('completed','failed','cancelled')"


@dataclass(frozen=True)
class Variant:
    """One way to run the host: what stands before its commands, and in its environment."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    prefix: tuple[str, ...] = ()
    exports: bool = False


@dataclass(frozen=True)
class Count:
    """Spans and traces that began in some stretch of time."""

    spans: int = 0
    traces: int = 0
    joined: int = 0
    """Traces with spans of both the API and the worker."""


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

    def cpu_s(self) -> float:
        """What API and worker have used since they started."""
        return cpu_s(self.api.pid) + cpu_s(self.worker.pid)

    def generate(self, count: int, gap_s: float) -> None:
        """Asks for that many generations, one every `gap_s`, and waits until all are over."""
        for _ in range(count):
            self.asked += 1
            config = {**ONE, "prompt": f"a lighthouse in the rain, number {self.asked}"}
            post(f"{self.url}/api/v1/generations", {"provider_id": "pixverse", "config": config})
            time.sleep(gap_s)
        _until(lambda: self.over() >= self.asked, DONE_S, f"{self.variant.name}: generations")

    def over(self) -> int:
        """Generations with a final status, by the database: asking the API would cost CPU."""
        with self.database.connect() as connection:
            return int(connection.execute(text(OVER)).scalar_one())

    def spans(self, received: Path) -> Iterator[tuple[int, str, str]]:
        """Start (ns), trace id and service of each span that this variant has written."""
        if self.variant.exports:
            for span in read_spans(received):
                if span["resource"].get(MARK) == self.variant.name:
                    service = str(span["resource"].get("service.name"))
                    yield span["start_ns"], span["trace_id"], service
            return
        for segment in sorted((self.folder / "spool").glob("*.jsonl")):
            for line in segment.read_text(encoding="utf-8").splitlines():
                yield from _spans_of(json.loads(line))

    def count(self, received: Path, stretches: list[tuple[int, int]]) -> Count:
        """What began in those stretches (ns since 1970)."""
        spans, services = 0, dict[str, set[str]]()
        for start, trace, service in self.spans(received):
            if any(begin <= start < end for begin, end in stretches):
                spans += 1
                services.setdefault(trace, set()).add(service)
        return Count(spans, len(services), sum(len(each) > 1 for each in services.values()))


def _spans_of(line: dict[str, Any]) -> Iterator[tuple[int, str, str]]:
    """Of one line of the spool; a process's record has none."""
    for of_resource in line.get("resourceSpans", []):
        named = {a["key"]: a["value"] for a in of_resource["resource"]["attributes"]}
        service = str(named["service.name"].get("stringValue"))
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                yield int(span["startTimeUnixNano"]), span["traceId"], service


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
def receiver(folder: Path) -> Generator[tuple[str, Path]]:
    """An OTLP receiver in a process of its own; yields its endpoint and what it writes."""
    (port,) = free_ports(1)
    out = folder / "received.jsonl"
    program = [sys.executable, "-m", "tests.support.otlp_receiver", "--out", str(out)]
    url = f"http://{HOST}:{port}"
    with process([*program, "--http-port", str(port)], folder / "receiver.log", environment()):
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
    """API and worker of one variant, ready.

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
        "OTEL_BSP_SCHEDULE_DELAY": "1000",  # gentrace's default, for all
        "OTEL_RESOURCE_ATTRIBUTES": f"{MARK}={variant.name}",
        "GENTRACE_SPOOL": str(folder / "spool"),
        **variant.env,
    }
    scripts = Path(sys.executable).parent
    uvicorn = [str(scripts / "uvicorn"), APP, "--port", str(port), "--log-level", "warning"]
    arq = [str(scripts / worker_command[0]), *worker_command[1:]]
    named = "OTEL_SERVICE_NAME"
    api_env = {**env, named: "api"} if variant.prefix else env
    worker_env = {**env, named: "worker"} if variant.prefix else env
    with ExitStack() as stack:
        api = stack.enter_context(process([*variant.prefix, *uvicorn], folder / "api.log", api_env))
        url = f"http://{HOST}:{port}"
        _until(lambda: answers(f"{url}/health"), READY_S, f"{variant.name}: the API")
        worker = stack.enter_context(
            process([*variant.prefix, *arq], folder / "worker.log", worker_env)
        )
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
    return {**kept, "PYTHONPATH": f"{SMALL_HOST}{os.pathsep}{ROOT}", "PYTHONHASHSEED": "0"}


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


def auto_instrumentation() -> str | None:
    """The `opentelemetry-instrument` of this environment, if it is installed."""
    return shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))


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
