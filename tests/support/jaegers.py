"""Spans made by hand, in a real Jaeger: posted as OTLP, and waited for until Jaeger finds them."""

from __future__ import annotations

import base64
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import httpx
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gentrace.core.spans import Span
from gentrace.sources.jaeger import Jaeger
from tests.core import traces
from tests.support.otlp_receiver import PATH
from tests.support.waiting import PATIENCE_S

_IDS = ("traceId", "spanId", "parentSpanId")


def as_protobuf(spans: Iterable[Span]) -> bytes:
    """An export request."""
    made = traces.request(*spans)
    for of_resource in made["resourceSpans"]:
        for span in of_resource["scopeSpans"][0]["spans"]:
            for holder in (span, *span["links"]):
                for name in _IDS:
                    if name in holder:
                        holder[name] = base64.b64encode(bytes.fromhex(holder[name])).decode()
    return ParseDict(made, ExportTraceServiceRequest()).SerializeToString()


def export(otlp_http: str, *spans: Span) -> None:
    """Post the spans to an OTLP/HTTP endpoint, given without /v1/traces."""
    by_resource: dict[int, list[Span]] = {}
    for span in spans:
        by_resource.setdefault(id(span.resource), []).append(span)
    body: dict[str, Any] = {"resourceSpans": []}
    for members in by_resource.values():
        made = traces.request(members[0])["resourceSpans"][0]
        made["scopeSpans"][0]["spans"] = [traces.encoded(span) for span in members]
        body["resourceSpans"].append(made)
    httpx.post(otlp_http + PATH, json=body, timeout=300, trust_env=False).raise_for_status()


@contextmanager
def reading(url: str, only: str = "", **more: Any) -> Generator[Jaeger]:
    """A source for the length of the block.

    Args:
        only: of a Jaeger that several tests share, the services of one: how their names begin.
    """
    source = Jaeger(url, **more)
    if only:
        source.services = [name for name in source._api.services if name.startswith(only)]
    try:
        yield source
    finally:
        source.close()


def wait_for(url: str, spans: Iterable[Span]) -> None:
    """Poll until Jaeger has them all: it stores them after it has answered."""
    wanted: dict[str, set[str]] = {}
    for span in spans:
        wanted.setdefault(span.trace_id, set()).add(span.span_id)
    end = time.monotonic() + PATIENCE_S
    with reading(url) as source:
        while wanted:
            trace_id, ids = next(iter(wanted.items()))
            if ids <= {s.span_id for t in source.trace(trace_id) for s in t.spans}:
                del wanted[trace_id]
                continue
            assert time.monotonic() < end, f"trace {trace_id} is not in Jaeger"
            time.sleep(0.05)
