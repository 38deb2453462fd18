"""OTLP over HTTP: gentrace, opentelemetry-instrument, logfire."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.receivers.arrived import Arrived, NotUnderstood
from tests.support.otlp_receiver import spans_of

PATHS = ("/v1/traces",)
ANNOUNCED = "logfire.span_type", "pending_span"
"""logfire sends each span twice: when it begins, under this attribute, and when it is over."""


def spans(_path: str, body: bytes) -> Iterator[Arrived]:
    """The spans of one export, without logfire's announcements."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise NotUnderstood("no OTLP export") from error
    key, announced = ANNOUNCED
    for span in spans_of(request):
        if span["attributes"].get(key) != announced:
            process = str(span["resource"].get("service.name", ""))
            yield Arrived(span["start_ns"], span["trace_id"], process, span["name"])
