"""CI's rule: a run in which a test did not have to pass is a failed run.

Workers of pytest-xdist collect the tests and leave some out; the controller hears of it and counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pytest

LEFT_OUT = "gentrace_left_out"
"""Where a worker tells its controller what it did not run."""


class Node(Protocol):
    """A worker as its controller sees it."""

    workeroutput: dict[str, Any]


class NothingLeftOut:
    """Fails the run for each test that was skipped, deselected or expected to fail."""

    def __init__(self) -> None:
        self._left_out: dict[str, None] = {}  # each worker collects all, and tells the same

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        expected: str | None = getattr(report, "wasxfail", None)
        if expected is not None:
            self._add(f"expected to fail: {report.nodeid} ({expected})")
        elif report.skipped:
            self._add(f"skipped: {report.nodeid} ({_reason(report)})")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._add(f"skipped: {report.nodeid} ({_reason(report)})")

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        for item in items:
            self._add(f"deselected: {item.nodeid}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Node) -> None:
        # A worker that was killed tells nothing; the test that it ran has failed.
        for line in getattr(node, "workeroutput", {}).get(LEFT_OUT, ()):
            self._add(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if told is not None:
            told[LEFT_OUT] = list(self._left_out)
        elif self._left_out and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._left_out:
            terminalreporter.section("CI leaves no test out", red=True)
            for line in self._left_out:
                terminalreporter.line(line)

    def _add(self, line: str) -> None:
        self._left_out[line] = None


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """A skip's reason, which pytest keeps as (file, line, text)."""
    told = report.longrepr
    return told[2] if isinstance(told, tuple) else str(told)
