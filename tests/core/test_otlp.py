"""OTLP JSON of every spelling becomes the same spans."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace as api
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gentrace.core import otlp
from gentrace.core.spans import Span
from gentrace.sources.whole import Spans
from tests.core import traces

HEX, SPAN_HEX = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def raw(**changes: Any) -> dict[str, Any]:
    span = {"traceId": HEX, "spanId": SPAN_HEX, "name": "a", **changes}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def only(request: dict[str, Any]) -> Span:
    spans, damaged = otlp.decode(request)
    assert damaged == 0
    (span,) = spans
    return span


@pytest.mark.parametrize("made", [traces.completed(), traces.failed(), traces.returned()])
def test_what_the_builder_encodes_is_decoded_as_it_was(made: traces.Tracer) -> None:
    decoded, damaged = otlp.decode(traces.request(*made.spans))
    assert decoded == made.spans
    assert damaged == 0


def test_spans_of_the_sdk_keep_everything() -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({"service.name": "pixsim7-worker", "service.instance.id": "i1"}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("gentrace")
    link = api.Link(api.SpanContext(int(HEX, 16), int(SPAN_HEX, 16), False), {"gentrace.link": "x"})
    attributes = {"generation.id": "7", "n": 3, "f": 0.5, "b": True, "many": ["a", "b"]}
    with tracer.start_as_current_span("parent", kind=api.SpanKind.CONSUMER) as parent:
        child = tracer.start_span("child", attributes=attributes, links=[link])
        child.add_event("here", {"at": 1})
        child.record_exception(ValueError("no"))
        child.set_status(api.StatusCode.ERROR, "ValueError: no")
        child.end()
    first, second = otlp.decode(encode_spans(memory.get_finished_spans()).to_dict())[0]
    assert (first.name, first.parent_id) == ("child", second.span_id)
    assert (second.kind, second.parent_id, second.status) == ("CONSUMER", "", "UNSET")
    assert first.attributes == attributes
    assert (first.status, first.status_message) == ("ERROR", "ValueError: no")
    assert [event.name for event in first.events] == ["here", "exception"]
    assert (first.links[0].trace_id, first.links[0].attributes) == (HEX, {"gentrace.link": "x"})
    assert (first.service, first.instance, first.scope) == ("pixsim7-worker", "i1", "gentrace")
    assert first.trace_id == f"{parent.get_span_context().trace_id:032x}"
    assert first.duration_ns > 0


def test_ids_in_hex_of_any_case_and_in_base64() -> None:
    in_base64 = {
        "traceId": base64.b64encode(bytes.fromhex(HEX)).decode(),
        "spanId": base64.b64encode(bytes.fromhex(SPAN_HEX)).decode(),
        "parentSpanId": base64.b64encode(bytes.fromhex(SPAN_HEX)).decode(),
    }
    for span in (only(raw(traceId=HEX.upper(), parentSpanId=SPAN_HEX)), only(raw(**in_base64))):
        assert (span.trace_id, span.span_id, span.parent_id) == (HEX, SPAN_HEX, SPAN_HEX)


@pytest.mark.parametrize("parent", ["", None, "0" * 16, "AAAAAAAAAAA="])
def test_no_parent_in_every_spelling(parent: str | None) -> None:
    assert only(raw(parentSpanId=parent)).parent_id == ""


@pytest.mark.parametrize("kind", [5, "5", "SPAN_KIND_CONSUMER", "CONSUMER"])
def test_enums_as_number_and_name(kind: object) -> None:
    assert only(raw(kind=kind)).kind == "CONSUMER"


@pytest.mark.parametrize(
    ("code", "status"), [(2, "ERROR"), ("STATUS_CODE_OK", "OK"), (None, "UNSET"), (9, "UNSET")]
)
def test_status(code: object, status: str) -> None:
    assert only(raw(status={"code": code})).status == status


def test_snake_case_and_numbers_as_numbers() -> None:
    span = {
        "trace_id": HEX, "span_id": SPAN_HEX, "name": "a",
        "start_time_unix_nano": 5, "end_time_unix_nano": "9",
    }  # fmt: skip
    decoded = only({"resource_spans": [{"scope_spans": [{"spans": [span]}]}]})
    assert (decoded.start_ns, decoded.end_ns) == (5, 9)


def test_every_kind_of_value() -> None:
    value = {
        "kvlistValue": {
            "values": [
                {"key": "bytes", "value": {"bytesValue": "AAE="}},
                {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "-4"}, {}]}}},
                {"key": "infinite", "value": {"doubleValue": "Infinity"}},
                {"key": "true", "value": {"boolValue": "true"}},
                {"key": "none", "value": None},
            ]
        }
    }
    assert otlp.any_value(value) == {
        "bytes": b"\0\1", "list": [-4, None], "infinite": float("inf"), "true": True, "none": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"traceId": "xyz"}, {"traceId": "0" * 32}, {"spanId": None}, {"name": None},
        {"startTimeUnixNano": "soon"}, {"endTimeUnixNano": -1}, {"attributes": {"a": 1}},
        {"startTimeUnixNano": str(2**70)}, {"endTimeUnixNano": float("inf")},
        {"attributes": [{"key": "a", "value": {"doubleValue": 10**400}}]},
        {"attributes": [{"key": "a", "value": {"intValue": float("inf")}}]},
    ],
)  # fmt: skip
def test_a_damaged_span_is_counted_and_the_others_kept(changes: dict[str, Any]) -> None:
    request = raw(**changes)
    request["resourceSpans"] += raw()["resourceSpans"]
    spans, damaged = otlp.decode(request)
    assert (len(spans), damaged) == (1, 1)


@pytest.mark.parametrize("other", [{}, {"resourceLogs": []}, {"gentraceProcess": {"pid": 1}}])
def test_objects_of_another_kind_hold_no_spans(other: dict[str, Any]) -> None:
    assert otlp.decode(other) == ([], 0)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["resourceSpans", "scopeSpans", "spans", "traceId", "attributes", "value"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_anything_else_is_a_value_error_and_nothing_worse(anything: object) -> None:
    try:
        otlp.decode(anything)
    except ValueError:
        return


@pytest.mark.parametrize("value", [{"intValue": [{}]}, {"doubleValue": []}, {"intValue": {}}])
def test_a_number_of_the_resource_that_is_none_damages_the_line(value: dict[str, Any]) -> None:
    """The whole line: what was written there says of nothing whose it is."""
    request = raw()
    request["resourceSpans"][0]["resource"] = {"attributes": [{"key": "a", "value": value}]}
    with pytest.raises(ValueError, match="no number"):
        otlp.decode(request)


@pytest.mark.parametrize("given", [[], "a", 1, None])
def test_a_span_that_is_no_object_is_damaged(given: Any) -> None:
    with pytest.raises(ValueError, match="an object was expected"):
        otlp.span(given, {})
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [given]}]}]}
    assert otlp.decode(request) == ([], 1)
    decoder = Spans()
    assert list(decoder.of(json.dumps(request).encode())) == []
    assert decoder.damaged == 1
