"""A real Jaeger shows the generation's trace, found by its id."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e import reading
from tests.support.small_host import small_host
from tools.servers import JaegerServer

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
        end = time.monotonic() + 15
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
        assert services == {API, WORKER}
        known = {span["spanID"] for span in trace["spans"]}
        parents = [[ref["spanID"] for ref in span["references"]] for span in trace["spans"]]
        assert sum(not each for each in parents) == 1
        assert {parent for each in parents for parent in each} <= known
        (root,) = [span for span in trace["spans"] if not span["references"]]
        assert root["operationName"] == reading.SERVER_SPAN
    assert len(seen) == len(ids)
