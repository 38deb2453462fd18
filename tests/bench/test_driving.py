"""A tool that is not heard ends the bench: its numbers would be of a tool that does nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from bench.cost import driving, report, variants
from bench.cost.driving import Driven, NothingArrived
from bench.cost.variants import Way
from bench.hosts import Host, Variant
from bench.receivers.arrived import Arrived


class _Host:
    """As much of a host as is asked here; `statuses` are what its database says in turn."""

    asked = 2

    def __init__(self, folder: Path, *statuses: dict[str, int]) -> None:
        self.folder, self.variant = folder, Variant("x")
        self._statuses = list(statuses)

    def by_status(self) -> dict[str, int]:
        return self._statuses.pop(0)

    over = Host.over
    wait = Host.wait


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "SETTLE_S", 0)
    monkeypatch.setattr(driving, "ARRIVE_S", 0)


def _driven(way: Way, folder: Path, *processes: str) -> Driven:
    received = folder / "received.jsonl"
    spans = [Arrived(1, "a", process, "POST") for process in processes]
    received.write_text("".join(json.dumps(span) + "\n" for span in spans))
    received.with_suffix(".log").write_text("/v0.5/traces: no traces\n")
    return Driven(way, cast("Any", _Host(folder)), cast("Any", None), received)


def test_a_tool_that_sends_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NothingArrived, match=r"ddtrace: no span of the api and the worker arrived"):
        driving.hear(_driven(variants.DDTRACE, tmp_path))


def test_so_is_one_that_is_heard_of_one_process_only(tmp_path: Path) -> None:
    with pytest.raises(NothingArrived, match=r"no span of the worker arrived; .* no traces"):
        driving.hear(_driven(variants.SENTRY, tmp_path, "api", "api"))


def test_an_empty_spool_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(NothingArrived, match="to the spool: no span"):
        driving.hear(_driven(variants.SPOOL, tmp_path))


def test_a_tool_that_is_heard_is_measured(tmp_path: Path) -> None:
    driving.hear(_driven(variants.GENTRACE, tmp_path, "pixsim7-worker", "pixsim7-api"))


def test_without_a_tool_nothing_is_waited_for(tmp_path: Path) -> None:
    driving.hear(_driven(variants.NONE, tmp_path))


def test_a_host_settles_only_when_no_failure_is_retried_any_more(tmp_path: Path) -> None:
    """The first look finds all over; after the pause one runs again, and fails for good."""
    failed, again = {"completed": 1, "failed": 1}, {"completed": 1, "processing": 1}
    host = _Host(tmp_path, failed, again, failed, failed, failed)
    each = Driven(variants.NONE, cast("Any", host), cast("Any", None), tmp_path / "none")
    driving.settle([each])
    assert report.not_completed([each]) == "Generations that did not complete: no tool 1."


def test_nothing_is_said_where_all_completed(tmp_path: Path) -> None:
    host = _Host(tmp_path, {"completed": 2})
    each = Driven(variants.NONE, cast("Any", host), cast("Any", None), tmp_path / "none")
    assert report.not_completed([each]) == ""
