"""Real services for every test, in each of the processes that run tests side by side.

A test that uses a `*_server` fixture gets the marker `service(name)` by itself; one that finds its
service another way carries the marker. Without the service it is skipped with the reason, except
under CI=true, where `tests/support/left_out.py` fails the run for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.support import announced, left_out, side_by_side
from tools import servers
from tools.services import SERVICES

if TYPE_CHECKING:
    from tests.support.otlp_receiver import OtlpReceiver

FIXTURES = {
    "redis_server": "redis",
    "postgres_server": "postgres",
    "jaeger_server": "jaeger",
    "collector_server": "collector",
}
SHARED = ("sent",)
"""Fixtures of the session that cost too much to be made in more than one process."""
KEPT_LOGS = "gentrace_kept_logs"


class Node(Protocol):
    """A worker of pytest-xdist as its controller sees it."""

    workeroutput: dict[str, Any]


@pytest.fixture(scope="session")
def anything_failed(request: pytest.FixtureRequest) -> Callable[[], bool]:
    """Asked by the servers as they stop: then their logs are kept."""
    return lambda: request.session.testsfailed > 0


@pytest.fixture(scope="session")
def redis_server(anything_failed: Callable[[], bool]) -> Generator[servers.RedisServer]:
    """One Redis for all tests; each uses keys of its own or flushes first."""
    with _or_skip(), servers.redis(anything_failed) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(anything_failed: Callable[[], bool]) -> Generator[servers.PostgresServer]:
    """One PostgreSQL for all tests; `new_database()` gives each its own."""
    with _or_skip(), servers.postgres(anything_failed) as server:
        yield server


@pytest.fixture(scope="session")
def jaeger_server(anything_failed: Callable[[], bool]) -> Generator[servers.JaegerServer]:
    """One Jaeger for all tests; each uses a service name of its own."""
    with _or_skip(), servers.jaeger(anything_failed) as server:
        yield server


@pytest.fixture(scope="session")
def collector_server(
    jaeger_server: servers.JaegerServer, anything_failed: Callable[[], bool]
) -> Generator[servers.CollectorServer]:
    """One Collector for all tests, which sends on to the one Jaeger; its metrics come quickly."""
    quick = ["connectors::span_metrics::metrics_flush_interval: 200ms"]
    with _or_skip():
        servers.find("collector")
    with servers.collector(anything_failed, jaeger=jaeger_server, settings=quick) as server:
        yield server


@pytest.fixture(scope="session")
def otlp_receiver() -> Generator[OtlpReceiver]:
    """One OTLP receiver for all tests; each clears it first."""
    from tests.support.otlp_receiver import receiver

    with receiver() as running:
        yield running


@contextmanager
def _or_skip() -> Generator[None]:
    try:
        yield
    except servers.ServiceMissing as missing:
        pytest.skip(str(missing))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "service(name): needs this real server (tools/services.py)")
    config.addinivalue_line("markers", "alone: runs while no other process runs a test")
    if os.environ.get("CI", "").lower() in ("true", "1"):
        config.pluginmanager.register(left_out.NothingLeftOut())
    told = side_by_side.workers_input(config)
    if told is not None:
        folder = Path(told[side_by_side.FOLDER])
        config.pluginmanager.register(side_by_side.Turns(folder))
        config.pluginmanager.register(side_by_side.Grouping(folder, told["workerid"], SHARED))
    else:
        config.pluginmanager.register(side_by_side.Controller())


def pytest_report_header(config: pytest.Config) -> list[str]:
    if side_by_side.workers_input(config) is not None:
        return []
    whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    return announced.lines(SERVICES, whole=whole)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return side_by_side.workers()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks by fixture, early enough for `-m service` to see it."""
    for item in items:
        names: Sequence[str] = getattr(item, "fixturenames", ())
        for fixture in sorted(FIXTURES.keys() & set(names)):
            item.add_marker(pytest.mark.service(FIXTURES[fixture]))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Node) -> None:
    told: dict[str, Any] = getattr(node, "workeroutput", {})
    servers.kept_logs.extend(map(Path, told.get(KEPT_LOGS, ())))


def pytest_sessionfinish(session: pytest.Session) -> None:
    told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        told[KEPT_LOGS] = list(map(str, servers.kept_logs))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for folder in servers.kept_logs:
        terminalreporter.line(f"server log kept: {folder}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("service"):
        with _or_skip():
            servers.find(marker.args[0])
