"""A host's own OpenTelemetry beside us: each keeps its spans, and ours go where the rule says.

One row a way to set a provider up, with the products themselves; compared with the same host and
the same set-up without GENTRACE.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import reading
from tests.support.otlp_receiver import OtlpReceiver, Span, receiver
from tests.support.programs import ROOT
from tests.support.small_host import APP, FOLDER, WORKER, SmallHost, small_host
from tools import servers

PRODUCTS = ("logfire", "ddtrace")
OURS = (reading.OF_THE_API | reading.OF_THE_WORKER) - {reading.SERVER_SPAN}
WHOLE = {*OURS, "generation", "queue.wait", "provider.wait"}
DATADOG = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "DD_TRACE_STARTUP_LOGS": "false",
}
AUTO = {**DATADOG, "DD_TRACE_OTEL_ENABLED": "true"}
ITS_OWN = ("host", "opentelemetry.instrumentation.httpx", "fastapi", "ddtrace")


@dataclass(frozen=True)
class Seen:
    """What came of one generation.

    Attributes:
        theirs: the host's own spans, by the set-up's exporter.
        ours: what arrived at the endpoint, or was written to the spool.
        headers: which headers each of the host's requests to its provider had.
        said: the start lines.
    """

    theirs: list[dict[str, Any]]
    ours: list[Span]
    headers: set[tuple[str, frozenset[str]]]
    said: list[str]

    def shape(self) -> set[tuple[str, str, str]]:
        """Name and kind of each of the host's own spans, and what it hangs under.

        But for ddtrace's of Redis, which sees the run store's commands, too, and of SQL, whose
        statements are others where the tables are not there yet.
        """
        names = {span["id"]: span["name"] for span in self.theirs}
        return {
            (span["name"], span["kind"], names.get(span["parent"], "?") if span["parent"] else "")
            for span in self.theirs
            if span["scope"] in ITS_OWN and span["kind"] not in ("redis", "sql")
        }


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    with small_host({}, api=False, workers=0, failed=anything_failed) as running:
        yield running


@pytest.fixture(scope="module")
def endpoint() -> Generator[OtlpReceiver]:
    with receiver() as received:
        yield received


def path_of(way: str) -> str:
    product = way.partition("_")[0]
    more = [str(servers.find("tracers") / product)] if product in PRODUCTS else []
    return os.pathsep.join([*more, str(FOLDER), str(ROOT)])


def see(
    host: SmallHost, received: OtlpReceiver, tmp_path: Path, way: str, env: Mapping[str, str]
) -> Seen:
    host.forget_jobs()
    received.clear()
    tmp_path.mkdir(exist_ok=True)
    file, asked_before = tmp_path / "theirs.jsonl", len(host.standin_requests())
    spool = tmp_path / "spool"
    given = {"GENTRACE_SPOOL": str(spool), "PYTHONPATH": path_of(way), **env}
    start = [sys.executable, "-m", "tests.support.host_tracing", way, str(file)]
    with host.running(given, api=[*start, "api", APP], worker=[*start, "worker", WORKER]) as both:
        generation = host.run()
        assert generation["status"] == "completed"
        worker = host.workers[0]
        worker.wait_for("asset_ingestion_completed")
        whole = reading.complete([str(generation["id"])], WHOLE)
        if "GENTRACE" in env and "OTEL_EXPORTER_OTLP_ENDPOINT" in env:
            received.wait_for(whole)
        elif "GENTRACE" in env:
            worker.wait_until(lambda: whole(reading.spooled(spool)), "its run is in the spool")
    ours = [*received.spans(), *(reading.spooled(spool) if spool.exists() else [])]
    lines = file.read_text().splitlines() if file.exists() else []
    return Seen(
        [json.loads(line) for line in lines],
        [span for span in ours if span["resource"].get("telemetry.distro.name") == "gentrace"],
        {
            (request["method"], frozenset(request["headers"]))
            for request in host.standin_requests()[asked_before:]
        },
        [line for program in both for line in program.said()],
    )


def check_one_trace(spans: list[Span], root: str) -> None:
    """One trace with that root, whole, each span once."""
    trace = [span for span in spans if span["name"] != reading.STARTUP]
    ids = [span["span_id"] for span in trace]
    assert len(ids) == len(set(ids))
    assert len(reading.by_trace(trace)) == 1
    assert reading.orphans(trace) == []
    assert [span["name"] for span in reading.roots(trace)] == [root]
    assert reading.names(trace) >= WHOLE
    runs = {span["resource"]["service.name"] for span in trace if span["name"] == "generation"}
    assert runs == {"pixsim7-runs"}


@pytest.mark.service("tracers")
@pytest.mark.parametrize("named", [True, False], ids=["an endpoint", "the spool"])
@pytest.mark.parametrize(
    ("way", "env", "root"),
    [
        ("elsewhere", {}, reading.SERVER_SPAN),
        ("ddtrace", DATADOG, reading.SERVER_SPAN),
        ("ddtrace_auto", AUTO, reading.SERVER_SPAN),
        ("logfire", {}, reading.SERVER_SPAN),
    ],
)
def test_our_own_place(
    host: SmallHost,
    endpoint: OtlpReceiver,
    tmp_path: Path,
    way: str,
    env: Mapping[str, str],
    root: str,
    named: bool,
) -> None:
    """The host's provider takes nothing of ours, and nothing of its own changes."""
    if named:
        env = {**env, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.http_endpoint}
    if way == "logfire" and named:  # it would send there itself: the host's place, see below
        env = {**env, "GENTRACE_PROVIDER": "own"}
    alone = see(host, endpoint, tmp_path / "alone", way, env)
    beside = see(host, endpoint, tmp_path / "beside", way, {**env, "GENTRACE": "1"})
    assert alone.said == []
    assert len(beside.said) == 2  # a start line each, and no trouble
    where = endpoint.http_endpoint if named else f"the spool {tmp_path / 'beside' / 'spool'}"
    assert all(f"spans go to {where} (" in line for line in beside.said), beside.said
    check_one_trace(beside.ours, root)
    assert {name for name, _, _ in alone.shape()} >= {"host.create", "host.execute", "POST"}
    assert beside.shape() == alone.shape()
    assert beside.headers == alone.headers
    assert [span for span in beside.theirs if span["scope"] == "gentrace"] == []


@pytest.mark.service("tracers")
@pytest.mark.parametrize("way", ["same_address", "logfire"])
def test_the_hosts_place(host: SmallHost, endpoint: OtlpReceiver, tmp_path: Path, way: str) -> None:
    """It sends where the variables say: there each of ours arrives once, among the host's own."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.http_endpoint, "OTEL_SERVICE_NAME": "mine"}
    alone = see(host, endpoint, tmp_path / "alone", way, env)
    beside = see(host, endpoint, tmp_path / "beside", way, {**env, "GENTRACE": "1"})
    assert all("spans go to the host's own tracer provider (" in line for line in beside.said)
    spans = [span for span in endpoint.spans() if span["name"] != reading.STARTUP]
    ids = [span["span_id"] for span in spans]
    assert len(ids) == len(set(ids))
    ours = [span for span in spans if span["scope"] == "gentrace"]
    assert len(reading.by_trace(ours)) == 1
    assert reading.services(spans) == {"mine"}
    assert {s["resource"]["service.name"] for s in spans if s["name"] == "generation"} == {"mine"}
    own = {(name, kind) for name, kind, _ in alone.shape()}
    assert {(name, kind) for name, kind, _ in beside.shape()} == own
    assert beside.headers == alone.headers
    assert not list((tmp_path / "beside" / "spool").glob("spans*"))


def test_both_places(host: SmallHost, endpoint: OtlpReceiver, tmp_path: Path) -> None:
    """Asked for both, each has each of ours once."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.http_endpoint}
    seen = see(
        host, endpoint, tmp_path, "elsewhere", {**env, "GENTRACE": "1", "GENTRACE_PROVIDER": "both"}
    )
    assert all("own tracer provider and http" in line for line in seen.said)
    check_one_trace(seen.ours, reading.SERVER_SPAN)
    ours = sorted((s["span_id"], s["name"]) for s in seen.ours if s["scope"] == "gentrace")
    there = [s for s in seen.theirs if s["scope"] == "gentrace" and s["name"] != reading.STARTUP]
    assert sorted((f"{span['id']:016x}", span["name"]) for span in there) == ours
