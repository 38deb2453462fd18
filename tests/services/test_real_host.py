"""What the real host's runs are held against: what a run span tells, and the planted mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.run_reading import RunSpan
from tests.support.otlp_receiver import Span
from tools.real_host import telling
from tools.real_host.planted import ADAPTERS, FUNCTION, plant

RUN = {
    "generation.operation": "text_to_video",
    "generation.provider": "pixverse",
    "generation.model": "v5",
    "generation.outcome": "failed",
    "generation.stage": "submitted",
    "generation.tries": 1,
    "generation.attempts": 1,
    "generation.error.cause": "ProviderError",
    "generation.error.message": "<message:4:0a0a0a0a>",
}
EXECUTE = {
    "generation.operation": "text_to_video",
    "generation.provider": "pixverse",
    "generation.model": "v5",
    "generation.submission.id": "7",
    "generation.attempt": 1,
    "generation.account.id": "2",
    "error.type": "ProviderError",
    "generation.error.cause": "ProviderError",
    "code.file.path": "pixsim7/adapter.py",
    "code.line.number": 3,
}


def span(name: str, attributes: dict[str, Any], code: str = "ERROR", start_ns: int = 0) -> Span:
    return {
        "resource": {}, "scope": "gentrace", "name": name, "kind": "INTERNAL",
        "trace_id": "1" * 32, "span_id": name, "parent_span_id": "", "start_ns": start_ns,
        "end_ns": 9, "attributes": attributes, "events": [], "links": [],
        "status": {"code": code, "message": ""},
    }  # fmt: skip


def told(run: dict[str, Any], execute: dict[str, Any] | None = EXECUTE) -> list[str]:
    of_run = span("generation", run)
    trace = [of_run] if execute is None else [of_run, span("provider.execute", execute)]
    return telling.problems(RunSpan(of_run, trace), killed=False)


def test_a_run_that_tells_all() -> None:
    assert told(RUN) == []
    queued = {**RUN, "generation.stage": "queued", "generation.tries": 0, "generation.attempts": 0}
    assert told({**queued, "generation.outcome": "cancelled"}, None) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"generation.stage": "started"}, "stage started with 1 provider.execute"),
        ({"generation.tries": 0}, "stage submitted after 0 tries"),
        ({"generation.attempts": 2}, "2 attempts, 1 provider.execute"),
        ({"generation.model": ""}, "no model"),
        ({"generation.error.message": ""}, "no error.message"),
    ],
)
def test_a_run_span_that_is_wrong(changed: dict[str, Any], said: str) -> None:
    assert told(RUN | changed) == [said]


def test_a_run_that_started_without_a_try() -> None:
    none = {"generation.stage": "started", "generation.tries": 0, "generation.attempts": 0}
    assert told(RUN | none, None) == ["stage started after 0 tries"]


@pytest.mark.parametrize("name", ["generation.submission.id", "code.line.number"])
def test_a_submission_that_leaves_something_out(name: str) -> None:
    without = {key: value for key, value in EXECUTE.items() if key != name}
    assert told(RUN, without) == [f"provider.execute without {name}"]


def test_the_planted_mistake(tmp_path: Path) -> None:
    """The function fails at the line that is named; the rest is the checkout's."""
    checkout, folder = tmp_path / "checkout", tmp_path / "planted"
    adapters = checkout / ADAPTERS
    adapters.mkdir(parents=True)
    (adapters / "other.py").write_text("NAME = 'theirs'\n")
    text = f"from .other import NAME\n\nasync def {FUNCTION}(client):\n    return client\n"
    (adapters / "made.py").write_text(text)
    planted = plant(checkout, folder)
    assert (planted.file, planted.line) == ((ADAPTERS / "made.py").as_posix(), 4)
    assert (adapters / "made.py").read_text() == text
    module = ".".join((ADAPTERS / "made").parts)
    program = f"import asyncio, {module} as m; print(m.NAME); asyncio.run(m.{FUNCTION}(1))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "theirs\n"
    assert f'{planted.file}", line 4' in done.stderr
    assert "NameError" in done.stderr
