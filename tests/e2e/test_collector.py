"""Through the real Collector: what gentrace sends arrives unchanged, and each run is counted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from tests.e2e import run_reading
from tests.support import collector_files
from tests.support.otlp_receiver import OtlpReceiver, Span, receiver
from tests.support.small_host import small_host
from tests.support.unscrubbed import a_span, pairs, send
from tests.support.waiting import PATIENCE_S
from tools import servers

pytestmark = [pytest.mark.service("collector"), pytest.mark.service("jaeger")]

FATES = ("", "RETRYFILTER1", "BADPROMPT", "FILTER", "CONC1", "BOOM")
OPERATIONS = ("text_to_video", "image_to_video")
RAW = "service::pipelines::traces/raw::"


class Load(NamedTuple):
    """What came of a few generations of mixed fates."""

    sent: dict[tuple[str, str], Span]
    kept: dict[tuple[str, str], Span]
    jaeger: servers.JaegerServer
    metrics: list[collector_files.Sample]
    troubles: list[str]
    runs: list[dict[str, Any]]


def before_redaction(received: OtlpReceiver) -> list[str]:
    """Changes to the Collector: what comes in goes to the receiver as well, as it came."""
    return [
        f"exporters::otlp_http/raw::endpoint: {received.http_endpoint}",
        "exporters::otlp_http/raw::sending_queue::enabled: false",
        f"{RAW}receivers: [otlp]",
        f"{RAW}exporters: [otlp_http/raw]",
        "connectors::span_metrics::metrics_flush_interval: 200ms",
    ]


@pytest.fixture(scope="module")
def load(anything_failed: Callable[[], bool]) -> Generator[Load]:
    """A host whose spans go through the Collector into Jaeger, a file and a receiver."""
    with (
        receiver() as received,
        servers.jaeger(anything_failed) as jaeger,
        servers.collector(
            anything_failed, jaeger=jaeger, settings=before_redaction(received)
        ) as collector,
    ):
        env = {"GENTRACE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp_http}
        with small_host(env, failed=anything_failed) as host:
            wanted = [
                {"prompt": f"a lighthouse {n} {fate}", "operation": operation}
                for n, fate in enumerate(FATES)
                for operation in OPERATIONS
            ]
            ids = host.submit_all(wanted)
            ended = host.wait_final(ids)
            failed = next(g for g in ended if g["status"] == "failed")
            host.act(str(failed["id"]), "retry")  # a second run, linked to the first
            host.submit("a lighthouse 0", request={"force_new": False})
            received.wait_for(lambda spans: len(runs_of(spans)) >= len(ids) + 1)
        sent = collector_files.by_id([*received.spans(), *received.startups()])
        runs = runs_of(sent.values())
        want = Counter(str(run["generation.outcome"]) for run in runs)
        poll(lambda: collector_files.counts(collector, {}) == want)
        poll(
            lambda: {i for trace in jaeger_traces(jaeger) for i in ids_of(trace)} >= set(sent),
            every_s=0.5,
        )
        yield Load(
            sent,
            collector_files.by_id(collector_files.spans(collector.traces)),
            jaeger,
            collector_files.metrics(collector.prometheus),
            collector_files.troubles(collector.log),
            runs,
        )


def runs_of(spans: Any) -> list[dict[str, Any]]:
    """The attributes of the run spans."""
    found = run_reading.run_spans(spans)
    return [run.span["attributes"] for runs in found.values() for run in runs]


def jaeger_traces(jaeger: servers.JaegerServer) -> list[dict[str, Any]]:
    """All traces of gentrace's that Jaeger has."""
    found: dict[str, dict[str, Any]] = {}
    for service in ("pixsim7-api", "pixsim7-worker", "pixsim7-runs"):
        query = {"service": service, "limit": 2000}
        answer = httpx.get(f"{jaeger.url}/api/traces", params=query, trust_env=False, timeout=300)
        found |= {trace["traceID"]: trace for trace in answer.json()["data"] or ()}
    return list(found.values())


def ids_of(trace: dict[str, Any]) -> set[tuple[str, str]]:
    """Trace and span id of each of its spans."""
    return {(span["traceID"], span["spanID"]) for span in trace["spans"]}


def in_jaeger(jaeger: servers.JaegerServer) -> set[tuple[str, str]]:
    """Trace and span id of each span of gentrace's that Jaeger has."""
    return {each for trace in jaeger_traces(jaeger) for each in ids_of(trace)}


def poll(holds: Callable[[], bool], timeout: float = PATIENCE_S, every_s: float = 0.1) -> None:
    """Ask until it holds."""
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, f"not within {timeout} s"
        time.sleep(every_s)


def test_each_span_is_kept_as_it_was_sent(load: Load) -> None:
    assert load.kept.keys() == load.sent.keys()
    changed = [(span, load.kept[i]) for i, span in load.sent.items() if load.kept[i] != span]
    assert changed == []


def test_it_had_something_to_let_pass(load: Load) -> None:
    spans = load.sent.values()
    assert any(span["links"] for span in spans)
    assert any(" " in span["status"]["message"] for span in spans)
    assert any("error" in event["attributes"] for span in spans for event in span["events"])
    assert {run["generation.outcome"] for run in load.runs} == {"completed", "failed"}


def test_each_generation_is_one_trace_in_jaeger(load: Load) -> None:
    for generation_id in {run["generation.id"] for run in load.runs}:
        traces = {
            span["trace_id"]
            for span in load.sent.values()
            if span["attributes"].get("generation.id") == generation_id
        }
        query = {"service": "pixsim7-worker", "limit": "20"}
        query["tags"] = json.dumps({"generation.id": generation_id})
        found = httpx.get(f"{load.jaeger.url}/api/traces", params=query, trust_env=False).json()
        assert {trace["traceID"] for trace in found["data"]} == traces
        for trace in found["data"]:
            assert ids_of(trace) == {i for i in load.sent if i[0] == trace["traceID"]}


def test_runs_and_nothing_else_are_counted_and_timed(load: Load) -> None:
    names = ("outcome", "operation", "provider", "model")
    want = Counter(tuple(str(run[f"generation.{name}"]) for name in names) for run in load.runs)
    for metric in ("generation_calls_total", "generation_duration_seconds_count"):
        got = {
            tuple(labels[f"generation_{name}"] for name in names): value
            for name, labels, value in load.metrics
            if name == metric
        }
        assert got == want
    labels = {key for sample in load.metrics for key in sample.labels}
    assert labels == {*(f"generation_{name}" for name in names), "job", "le"}
    own = {"generation_calls_total", "generation_duration_seconds"}
    parts = {f"generation_duration_seconds_{part}" for part in ("bucket", "count", "sum")}
    assert {sample.name for sample in load.metrics} - {"target_info"} <= own | parts


def test_the_collector_had_nothing_to_complain_of(load: Load) -> None:
    assert load.troubles == []


def test_made_up_names_do_not_fill_the_memory(anything_failed: Callable[[], bool]) -> None:
    few = ["connectors::span_metrics::aggregation_cardinality_limit: 20"]
    quick = ["connectors::span_metrics::metrics_flush_interval: 200ms"]
    with servers.collector(anything_failed, settings=few + quick) as collector:
        spans = [
            a_span("generation", uuid4().hex, attributes=pairs(generation__model=f"m{n}"))
            for n in range(100)
        ]
        send(collector, spans)

        def counted() -> list[collector_files.Sample]:
            found = collector_files.metrics(collector.prometheus)
            return [sample for sample in found if sample.name == "generation_calls_total"]

        poll(lambda: sum(sample.value for sample in counted()) == 100)
        assert len(counted()) <= 21
        assert [s for s in counted() if s.labels.get("otel_metric_overflow") == "true"]
