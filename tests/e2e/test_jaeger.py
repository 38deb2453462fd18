"""A real Jaeger has each generation's trace, found by its id, span for span as it was sent.

Most of it through the Collector, whose file has the same.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from gentrace.core import names
from gentrace.sources.otlp_files import OtlpFiles
from tests.e2e import many, reading
from tests.support import jaegers
from tests.support.programs import ROOT
from tests.support.small_host import small_host
from tests.support.waiting import PATIENCE_S
from tools.servers import JaegerServer

pytestmark = [pytest.mark.service("collector"), pytest.mark.service("jaeger")]

API, WORKER = "e2e-jaeger-api", "e2e-jaeger-worker"  # of this test alone
WHOLE = reading.OF_THE_API | reading.OF_THE_WORKER


def find(jaeger: JaegerServer, service: str, generation_id: str) -> list[dict[str, Any]]:
    """The traces that Jaeger finds for that service and generation."""
    query = {"service": service, "tags": json.dumps({"generation.id": generation_id}), "limit": 20}
    answer = httpx.get(jaeger.url + "/api/traces", params=query, trust_env=False, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_jaeger_finds_the_whole_trace_by_the_generations_id(
    jaeger_server: JaegerServer, anything_failed: Callable[[], bool]
) -> None:
    with small_host(
        {"GENTRACE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger_server.otlp_http},
        api_env={"OTEL_SERVICE_NAME": API},
        worker_env={"OTEL_SERVICE_NAME": WORKER},
        failed=anything_failed,
    ) as host:
        ids = [host.submit("one"), host.submit("two RETRYFILTER1")]
        assert [g["status"] for g in host.wait_final(ids)] == ["completed", "completed"]
    seen: set[str] = set()
    for generation_id in ids:
        end = time.monotonic() + PATIENCE_S
        while True:
            found = find(jaeger_server, WORKER, generation_id)
            names = {span["operationName"] for trace in found for span in trace["spans"]}
            if names >= WHOLE:
                break
            assert time.monotonic() < end, sorted(names)
            time.sleep(0.1)
        (trace,) = found
        seen.add(trace["traceID"])
        assert [t["traceID"] for t in find(jaeger_server, API, generation_id)] == [trace["traceID"]]
        services = {p["serviceName"] for p in trace["processes"].values()}
        runs = {f"{API}-runs", f"{WORKER}-runs"}  # of whichever found it over
        assert services - runs == {API, WORKER}
        assert services & runs
        known = {span["spanID"] for span in trace["spans"]}
        parents = [[ref["spanID"] for ref in span["references"]] for span in trace["spans"]]
        assert sum(not each for each in parents) == 1
        assert {parent for each in parents for parent in each} <= known
        (root,) = [span for span in trace["spans"] if not span["references"]]
        assert root["operationName"] == reading.SERVER_SPAN
    assert len(seen) == len(ids)


def test_the_collectors_file_has_each_span_as_it_was_sent(sent: many.Sent) -> None:
    kept = {trace.trace_id: trace for trace in OtlpFiles(sent.collected).traces().traces}
    assert kept.keys() == sent.traces.keys()
    for trace_id, trace in sent.traces.items():
        assert kept[trace_id].spans == trace.spans


def test_each_of_two_hundred_generations_is_in_jaeger_span_for_span(
    jaeger_server: JaegerServer, sent: many.Sent
) -> None:
    traces_of = many.of_generations(list(sent.traces.values()))
    with jaegers.reading(jaeger_server.url, only=many.SERVICES) as source:
        for generation_id in sent.ids:
            found = source.by_generation(generation_id).traces
            assert {trace.trace_id for trace in found} == traces_of[generation_id]
            runs = {span.text(names.GENERATION_RUN) for trace in found for span in trace.spans}
            assert len(found) <= len(runs - {None}), "one trace, but for another run of it"
            for trace in found:
                assert trace.spans == sent.traces[trace.trace_id].spans
        assert not source.traces().truncated


def test_the_searches_of_the_readme_find_all(jaeger_server: JaegerServer, sent: many.Sent) -> None:
    """Jaeger's page hands its address on to the API as it is; nothing takes a minute here."""
    spans = [span for trace in sent.traces.values() for span in trace.spans]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    searches = re.findall(r"^/search\?(\S+)$", readme, re.MULTILINE)
    assert len(searches) == 5
    for search in searches:
        asked = dict(parse_qsl(search.replace("minDuration=1m", "minDuration=10ms")))
        asked |= {"service": asked["service"].replace("pixsim7", many.PROFILE), "limit": "1000"}
        wanted = json.loads(asked["tags"]).items()
        there = {
            span.trace_id
            for span in spans
            if span.name == asked["operation"]
            and all(span.text(name) == value for name, value in wanted)
            and ("minDuration" not in asked or span.end_ns - span.start_ns >= 10_000_000)
        }
        answer = httpx.get(f"{jaeger_server.url}/api/traces", params=asked, trust_env=False)
        assert {trace["traceID"] for trace in answer.json()["data"]} == there, search
        assert there, search
        labels = [f"{name}={value}" for name, value in wanted]
        row = f"`{asked['operation']}` | `{' '.join(labels)}`"
        assert row in readme, "the form's words are the same search"
