"""Nothing of a trace goes to the providers, and a caller's trace is a link, never a parent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import reading
from tests.support.otlp_receiver import Span, receiver
from tests.support.small_host import small_host

FORBIDDEN = re.compile(
    r"traceparent|tracestate|baggage|^b3$|^x-b3-|uber-trace-id|uberctx-|x-amzn-trace-id"
    r"|x-cloud-trace-context|sentry-trace|x-ot-span-context|gentrace|x-trace-id"
)
CALLER_TRACE, CALLER_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
INCOMING = {
    "traceparent": f"00-{CALLER_TRACE}-{CALLER_SPAN}-01",
    "tracestate": "rojo=00f067aa0ba902b7",
    "baggage": "userId=alice,secret=do-not-pass-on",
    "b3": f"{CALLER_TRACE}-{CALLER_SPAN}-1",
    "uber-trace-id": f"{CALLER_TRACE}:{CALLER_SPAN}:0:1",
}
UNSAMPLED = {"traceparent": f"00-{CALLER_TRACE}-{CALLER_SPAN}-00"}
PROVIDERS: dict[str, dict[str, Any]] = {
    "pixverse": {"operation": "text_to_video"},
    "sora": {"operation": "text_to_video"},
    "remaker": {"operation": "image_to_image", "image_url": "http://media.example/1.png"},
}
Headers = dict[str, set[frozenset[str]]]


@dataclass(frozen=True)
class Seen:
    """What came of the same requests: the stand-in's view, and ours."""

    headers: Headers
    texts: str
    spans: list[Span]
    ids: dict[str, str]


def see(env: dict[str, str], failed: Callable[[], bool]) -> Seen:
    """Each provider asked twice: for a caller with trace headers, and for one without."""
    with receiver() as received:
        env = {**env, "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
        with small_host(env, failed=failed) as host:
            ids: dict[str, str] = {}
            for provider, asked in PROVIDERS.items():
                ids[provider] = host.submit(provider=provider, headers=INCOMING, **asked)
                ids[f"{provider} alone"] = host.submit("alone", provider=provider, **asked)
            ids["unsampled"] = host.submit("unsampled", headers=UNSAMPLED)
            assert {g["status"] for g in host.wait_final(ids.values())} == {"completed"}
            worker = host.workers[0]
            worker.wait_until(
                lambda: worker.text().count("asset_ingestion_completed") == len(ids), "has all"
            )
            requests = [r for r in host.standin_requests() if r["path"] != "/"]
            texts = host.standin_log.read_text(encoding="utf-8")
        headers: Headers = {}
        for request in requests:
            place = re.sub(r"\d{6,}", "N", request["path"])
            headers.setdefault(place, set()).add(frozenset(request["headers"]))
        return Seen(headers, texts, received.spans(), ids)


@pytest.fixture(scope="module")
def traced(anything_failed: Callable[[], bool]) -> Seen:
    """With gentrace."""
    return see({"GENTRACE": "1"}, anything_failed)


@pytest.fixture(scope="module")
def untraced(anything_failed: Callable[[], bool]) -> Seen:
    """Without it."""
    return see({}, anything_failed)


def test_no_provider_gets_a_header_of_a_trace(traced: Seen) -> None:
    providers = {"/creative_platform", "/sora", "/api/pai", "/media"}
    assert {p for p in providers if any(path.startswith(p) for path in traced.headers)} == providers
    found = {
        (path, name)
        for path, sets in traced.headers.items()
        for names in sets
        for name in names
        if FORBIDDEN.search(name)
    }
    assert found == set()
    assert CALLER_TRACE not in traced.texts
    assert "do-not-pass-on" not in traced.texts
    for trace_id in reading.by_trace(traced.spans):
        assert trace_id not in traced.texts


def test_providers_see_the_same_headers_as_without_gentrace(traced: Seen, untraced: Seen) -> None:
    assert untraced.spans == []
    assert traced.headers == untraced.headers


def test_the_calls_were_traced_all_the_same(traced: Seen) -> None:
    scopes = {span["scope"] for span in traced.spans if span["kind"] == "CLIENT"}
    assert scopes >= {
        "opentelemetry.instrumentation.httpx",
        "opentelemetry.instrumentation.requests",
    }
    for provider, call in (
        ("pixverse", "pixverse._generate_text_to_video"),
        ("sora", "sora.execute"),
        ("remaker", "remaker._execute_prompt_editor"),
    ):
        spans = reading.of_generation(traced.spans, traced.ids[provider])
        under = reading.only(spans, call)["span_id"]
        assert [s["name"] for s in spans if s["parent_span_id"] == under] == ["POST"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_incoming_trace_is_a_link(traced: Seen, provider: str) -> None:
    spans = reading.of_generation(traced.spans, traced.ids[provider])
    (root,) = reading.roots(spans)
    assert (root["name"], root["kind"]) == (reading.SERVER_SPAN, "SERVER")
    assert root["trace_id"] != CALLER_TRACE
    (link,) = root["links"]
    assert (link["trace_id"], link["span_id"]) == (CALLER_TRACE, CALLER_SPAN)
    assert link["attributes"] == {"gentrace.link": "incoming"}
    assert reading.orphans(spans) == []


def test_without_one_there_is_no_link(traced: Seen) -> None:
    spans = reading.of_generation(traced.spans, traced.ids["pixverse alone"])
    assert [span["links"] for span in spans if span["links"]] == []


def test_an_unsampled_incoming_trace_hides_nothing(traced: Seen) -> None:
    spans = reading.of_generation(traced.spans, traced.ids["unsampled"])
    assert reading.names(spans) >= reading.OF_THE_API | reading.OF_THE_WORKER
    assert len(reading.roots(spans)) == 1
