"""The running host's log lines lead to its traces, and its own events stand in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest

from gentrace.core import names
from tests.e2e import reading
from tests.support.otlp_receiver import Span, receiver
from tests.support.programs import Program
from tests.support.small_host import small_host

PROMPT = "a lighthouse for bob.the.builder@example.com BADPROMPT"


@dataclass(frozen=True)
class Seen:
    """A generation that the provider refused: its trace and what the host logged."""

    spans: list[Span]
    startups: list[Span]
    lines: dict[str, list[dict[str, Any]]]
    generation_id: str

    def events(self, name: str) -> list[dict[str, Any]]:
        """The attributes of the span events of that name."""
        return [
            event["attributes"]
            for span in self.spans
            for event in span["events"]
            if event["name"] == name
        ]


@pytest.fixture(scope="module")
def seen(anything_failed: Callable[[], bool]) -> Generator[Seen]:
    """What one host left behind."""
    with receiver() as received:
        env = {
            "GENTRACE": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint,
            "AUTO_RETRY_ENABLED": "false",
        }
        with small_host(env, failed=anything_failed) as host:
            generation = host.run(prompt=PROMPT)
            lines = {program.name: _lines(program) for program in (host.api, *host.workers)}
        yield Seen(received.spans(), received.startups(), lines, str(generation["id"]))


def _lines(program: Program) -> list[dict[str, Any]]:
    return [json.loads(line) for line in program.text().splitlines() if line.startswith("{")]


def test_lines_about_the_generation_name_its_trace(seen: Seen) -> None:
    (trace_id,) = reading.trace_ids(seen.spans)[seen.generation_id]
    known = {span["span_id"] for span in seen.spans}
    for program, event in (("api", "queued for processing"), ("worker", "provider:error")):
        (line,) = [line for line in seen.lines[program] if event in line["event"]]
        assert line["trace_id"] == trace_id
        assert line["span_id"] in known


def test_lines_of_nobodys_work_have_no_ids(seen: Seen) -> None:
    (started,) = [line for line in seen.lines["worker"] if line["event"] == "worker_started"]
    assert "trace_id" not in started
    assert "span_id" not in started


def test_the_hosts_events_stand_on_the_span_at_work(seen: Seen) -> None:
    (job,) = [span for span in seen.spans if span["name"] == names.PROCESS_GENERATION]
    told = [event["name"] for event in job["events"]]
    assert told.index("pipeline:start") < told.index("account_selected")
    assert told.index("generation_started") < told.index("provider:error")
    (error,) = seen.events("provider:error")
    assert error["error_type"] == "ProviderContentFilteredError"
    assert len(seen.events("generation queued for processing")) == 1


def test_nothing_private_is_in_them(seen: Seen) -> None:
    text = json.dumps(seen.spans + seen.startups)
    assert "lighthouse" not in text
    assert "bob.the.builder" not in text


def test_each_process_told_once_what_it_is_made_of(seen: Seen) -> None:
    by_role = {span["attributes"][names.ROLE]: span for span in seen.startups}
    assert len(seen.startups) == len(by_role) == 2
    for role, span in by_role.items():
        attributes = span["attributes"]
        assert span["resource"]["service.name"] == f"pixsim7-{role}"
        assert attributes[names.PACKAGE_FILE].endswith("__init__.py")
        assert "arq" in {package.partition("==")[0] for package in attributes[names.PACKAGES]}
        assert "sora: ModuleNotFoundError" in attributes[names.IMPORT_ERRORS]
        assert "process_generation" in attributes[names.TARGETS_PATCHED] or role == "api"
        assert names.TARGETS_MISSING not in attributes
        assert names.CODE_STALE not in attributes
