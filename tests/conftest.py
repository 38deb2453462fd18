"""Real services for every test, and the rule that CI leaves no test out.

A test that uses a `*_server` fixture gets the marker `service(name)` by itself; one that finds its
service another way carries the marker. Without the service it is skipped with the reason, except
under CI=true, where a skipped, expected-to-fail or deselected test fails the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tools import servers

if TYPE_CHECKING:
    from tests.support.otlp_receiver import OtlpReceiver

FIXTURES = {
    "redis_server": "redis",
    "postgres_server": "postgres",
    "jaeger_server": "jaeger",
    "collector_server": "collector",
}


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
    if os.environ.get("CI", "").lower() in ("true", "1"):
        config.pluginmanager.register(NothingLeftOut())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks by fixture, early enough for `-m service` to see it."""
    for item in items:
        names: Sequence[str] = getattr(item, "fixturenames", ())
        for fixture in sorted(FIXTURES.keys() & set(names)):
            item.add_marker(pytest.mark.service(FIXTURES[fixture]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for folder in servers.kept_logs:
        terminalreporter.line(f"server log kept: {folder}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("service"):
        with _or_skip():
            servers.find(marker.args[0])


class NothingLeftOut:
    """CI's rule: a run in which a test did not have to pass is a failed run."""

    def __init__(self) -> None:
        self._left_out: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        expected: str | None = getattr(report, "wasxfail", None)
        if expected is not None:
            self._left_out.append(f"expected to fail: {report.nodeid} ({expected})")
        elif report.skipped:
            self._left_out.append(f"skipped: {report.nodeid} ({_reason(report)})")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._left_out.append(f"skipped: {report.nodeid} ({_reason(report)})")

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._left_out.extend(f"deselected: {item.nodeid}" for item in items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._left_out and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._left_out:
            terminalreporter.section("CI leaves no test out", red=True)
            for line in self._left_out:
                terminalreporter.line(line)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """A skip's reason, which pytest keeps as (file, line, text)."""
    told = report.longrepr
    return told[2] if isinstance(told, tuple) else str(told)
