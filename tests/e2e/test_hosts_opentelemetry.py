"""A host with OpenTelemetry of its own keeps each of its spans and headers, however it is set up.

The same requests are made without gentrace and with it: in the host's own provider, and beside it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.downstream import downstream
from tests.support.programs import BIN, ROOT
from tests.support.small_host import FOLDER, SmallHost, small_host

UVICORN = (str(BIN / "uvicorn"), "otel_host:served")
INSTRUMENT = str(BIN / "opentelemetry-instrument")
SET_UPS = ("clients", "before", "after", "added", "wrapped", "instrument")
"""Its clients alone · FastAPIInstrumentor before its app and after it · OpenTelemetry's middleware
added to the app and wrapped around it · opentelemetry-instrument."""
OURS = frozenset({"gentrace", "gentrace.sqlalchemy"})
CALLER = "c0ffee{:026x}", "{:016x}"
GENTRACE = "gentrace's"
MARKS = re.compile(r"traceparent|tracestate|baggage")
Span = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What came of the same requests: answers, headers that left, and the host's spans."""

    answers: list[tuple[int, tuple[str, ...]]]
    headers: list[tuple[str, tuple[str, ...], str]]
    spans: list[Span]


def of_caller(number: int) -> dict[str, str]:
    """The headers of a caller that is itself traced."""
    return {"traceparent": f"00-{CALLER[0].format(number)}-{CALLER[1].format(number + 1)}-01"}


def ask(host: SmallHost) -> list[tuple[int, tuple[str, ...]]]:
    """One of each, without a caller's trace and with it."""
    wanted: list[tuple[str, str]] = [
        ("GET", "/health"), ("GET", "/calls"), ("POST", "/api/v1/generations"),
        ("GET", "/fails"), ("GET", "/nowhere"),
    ]  # fmt: skip
    config = {"generationType": "text_to_video", "prompt": "a lighthouse", "style": {}}
    body = {"provider_id": "pixverse", "config": config, "force_new": True}
    answers: list[tuple[int, tuple[str, ...]]] = []
    for number, (method, path) in enumerate(wanted):
        with httpx.Client(base_url=host.url, timeout=60, trust_env=False) as client:
            for headers in ({}, of_caller(number)):
                given = body if method == "POST" else None
                answer = client.request(method, path, json=given, headers=headers)
                answers.append((answer.status_code, tuple(sorted(answer.headers))))
                if answer.is_server_error:
                    break  # the server closes the connection after it
    return answers


def see(
    set_up: str, *, gentrace: bool, place: str, late: bool, host: SmallHost, file: Path
) -> Seen:
    """The API in that set-up, asked; what its provider had when it was stopped.

    Args:
        place: where our spans go.
        late: the host sets its provider up once gentrace has made spans.
    """
    with downstream() as service:
        env = {
            "OTEL_HOST": set_up,
            "OTEL_HOST_SPANS": str(file),
            "OTEL_HOST_LATE": "1" if late else "0",
            "DOWNSTREAM": service.url,
            "GENTRACE": "1" if gentrace else "0",
            "GENTRACE_PROVIDER": place,
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "PYTHONPATH": f"{FOLDER}:{ROOT / 'tests/e2e/otel_host'}",
        }
        command = (INSTRUMENT, *UVICORN) if set_up == "instrument" else UVICORN
        with host.running(env, api=command, worker=None) as (program,):
            if late:  # gentrace has made its own provider by then
                host.submit()
                host.post("/set-up")
                service.seen.clear()
            answers = ask(host)
        assert "swallowed" not in program.text(), program.text()
        lines = file.read_text(encoding="utf-8").splitlines()
    return Seen(answers, described(service.seen), [json.loads(line) for line in lines])


def described(requests: Iterable[tuple[str, Mapping[str, str]]]) -> list[tuple[str, Any, str]]:
    """Each request's path and headers, and the caller whose trace it went on with."""
    found: list[tuple[str, Any, str]] = []
    for path, headers in requests:
        trace_id = headers.get("traceparent", "--").split("-")[1]
        found.append((path, tuple(sorted(headers)), whose(trace_id)))
    return sorted(found)


def whose(trace_id: str) -> str:
    """The caller's trace, or one that begins in the host."""
    return trace_id if trace_id.startswith("c0ffee") else "own" if trace_id else ""


def told(
    spans: list[Span], ours: Callable[[Span], bool], apart: bool = False
) -> tuple[Counter[Any], Counter[Any]]:
    """The host's spans, and those of what it does in a creation.

    Each by name, kind, trace, and the names of the host's own around it. Where our spans are in
    the host's provider, its own within a creation are in the generation's trace: these by name.

    Args:
        apart: where they are not.
    """
    by_id = {span["span_id"]: span for span in spans}

    def around(span: Span) -> tuple[str, ...]:
        parent = by_id.get(span["parent_span_id"])
        if parent is None:
            return (whose(span["trace_id"]),) if span["parent_span_id"] else ()
        return (*around(parent), GENTRACE if ours(parent) else parent["name"])

    outside, inside = Counter[Any](), Counter[Any]()
    for span in spans:
        line = around(span)
        asked_until_ready = "GET /health" in (*line, span["name"].removesuffix(" http send"))
        if ours(span) or (asked_until_ready and whose(span["trace_id"]) == "own"):
            continue
        if not apart and any(name == GENTRACE or name.startswith("POST /api") for name in line):
            inside[span["name"], span["kind"], span["scope"]] += 1
            continue
        outside[span["name"], span["kind"], whose(span["trace_id"]), line, span["sampled"]] += 1
    return outside, inside


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis alone."""
    with small_host(api=False, workers=0, failed=anything_failed) as running:
        with running.running(worker=None):
            pass  # the first start makes the database
        yield running


@pytest.mark.parametrize("set_up", SET_UPS)
def test_in_the_hosts_provider(set_up: str, host: SmallHost, tmp_path: Path) -> None:
    seen, plain = (
        see(set_up, gentrace=on, place="host", late=False, host=host, file=tmp_path / f"{on}.jsonl")
        for on in (True, False)
    )
    assert any(MARKS.search(name) for _, names, _ in plain.headers for name in names)
    assert seen.answers == plain.answers
    assert [line[:2] for line in seen.headers] == [line[:2] for line in plain.headers]
    assert outside(seen) == outside(plain)

    def ours(span: Span) -> bool:
        if span["scope"] in OURS or set_up == "instrument":
            return span["scope"] in OURS
        if set_up in ("before", "after"):  # httpx is the host's there, whoever calls
            return _is_plain(span, seen.spans) and not span["scope"].endswith(".httpx")
        is_server = span["scope"].endswith(".fastapi")
        return is_server or _is_plain(span, seen.spans)

    for there, wanted in zip(told(seen.spans, ours), told(plain.spans, _none), strict=True):
        assert (there - wanted, wanted - there) == (Counter(), Counter())
    creating = [s for s in seen.spans if s["name"].startswith("creating")]
    names = {span["span_id"]: span["name"] for span in seen.spans}
    assert {names[span["parent_span_id"]] for span in creating} == {"create_generation"}


@pytest.mark.parametrize(
    ("set_up", "late"),
    [("before", True), ("added", True), ("wrapped", True), ("added", False), ("wrapped", False)],
)
def test_beside_the_hosts_provider(
    set_up: str, late: bool, host: SmallHost, tmp_path: Path
) -> None:
    seen, plain = (
        see(set_up, gentrace=on, place="own", late=late, host=host, file=tmp_path / f"{on}.jsonl")
        for on in (True, False)
    )
    assert seen.answers == plain.answers
    assert seen.headers == plain.headers
    assert told(seen.spans, _none, True) == told(plain.spans, _none, True)


def outside(seen: Seen) -> list[tuple[str, Any, str]]:
    """The requests that were made outside a creation."""
    return [line for line in seen.headers if line[0].startswith("/outside")]


def _none(_span: Span) -> bool:
    return False


def _is_plain(span: Span, spans: list[Span]) -> bool:
    """Whether it is our span of a client that the host has not instrumented."""
    parent = next((s for s in spans if s["span_id"] == span["parent_span_id"]), None)
    return span["kind"] == "CLIENT" and parent is not None and parent["name"].endswith(" plain")
