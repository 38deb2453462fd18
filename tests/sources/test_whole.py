"""Spans decoded one by one are those that a line decoded as a whole has."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gentrace.core import otlp
from gentrace.core.spans import Span
from gentrace.sources.whole import Spans
from tests.core import traces
from tests.sources.test_index import a_run, spans_of
from tests.sources.test_scan import _compact, _protobuf, _shuffled, _snake, _sorted, content

_ODD: list[dict[str, Any]] = [
    {"traceId": "none"}, {"spanId": None}, {"name": 7}, {"name": None},
    {"kind": "SPAN_KIND_CLIENT"},
    {"kind": 77}, {"kind": "3"}, {"kind": None}, {"startTimeUnixNano": "soon"},
    {"endTimeUnixNano": -1}, {"endTimeUnixNano": None}, {"parentSpanId": "0" * 16},
    {"parentSpanId": "none"}, {"status": None}, {"status": {"code": "STATUS_CODE_ERROR"}},
    {"status": {"code": 2, "message": "no"}}, {"status": []}, {"attributes": None},
    {"attributes": [{"key": "a"}, {"key": "b", "value": {}}, {"key": "c", "value": None}]},
    {"attributes": [{"key": "a", "value": {"intValue": "many"}}]},
    {"attributes": [{"key": "a", "value": {"intValue": 5}}, {"value": {"boolValue": "true"}}]},
    {"attributes": [{"key": "a", "value": {"doubleValue": "Infinity"}}]},
    {"attributes": [{"key": "a", "value": {"bytesValue": "AA=="}}]},
    {"attributes": [{"key": "a", "value": {"kvlistValue": {"values": [{"key": "b"}]}}}]},
    {"attributes": [{"key": "a", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}}]},
    {"attributes": [{"key": "a", "value": {"stringValue": "half \ud800"}}]},
    {"events": [{"name": "e", "timeUnixNano": "5", "attributes": []}, {"timeUnixNano": 6}]},
    {"events": [{"name": None, "timeUnixNano": None}]}, {"events": [7]}, {"events": {}},
    {"links": [{"traceId": "a" * 32, "spanId": "b" * 16, "flags": 1}]}, {"links": [{}]},
    {"flags": 256, "traceState": "a=b", "droppedEventsCount": 3}, {"unheard": {"of": [1]}},
]  # fmt: skip


def agrees(line: bytes) -> None:
    """The same spans and as many damaged ones, or no line of spans in both."""
    decoder = Spans()
    wanted: list[Span]
    try:
        wanted, damaged = otlp.decode(otlp.parse(line))
    except (ValueError, RecursionError):
        with pytest.raises((ValueError, RecursionError)):
            decoder.of(line)
        return
    found = [*decoder.of(line)]
    assert repr(found) == repr(wanted)  # NaN is not itself
    assert decoder.damaged == damaged


@pytest.mark.parametrize("write", [_compact, _sorted, _shuffled, _protobuf, _snake])
def test_any_layout(write: Callable[[Any], str]) -> None:
    odd = a_run(1, generation__model='a "b" \\ü', generation__tries=2, whole=True, part=0.5)
    agrees(write(traces.request(*odd.spans, *traces.unfinished().spans)).encode())


def test_lines_of_all_kinds() -> None:
    for line in content().split(b"\n"):
        agrees(line)
    agrees(b"[" * 100_000)
    agrees(content().split(b"\n")[0].replace(b'"v5"', b'"v\xff"'))


@pytest.mark.parametrize("told", _ODD, ids=str)
def test_an_odd_span_costs_no_other(told: dict[str, Any]) -> None:
    request = traces.request(*a_run(1).spans, *a_run(2).spans)
    next(spans_of(request)).update(told)
    agrees(_compact(request).encode())


@pytest.mark.parametrize(
    "told",
    [
        {"resource": None}, {"resource": {"attributes": [7]}}, {"resource": []},
        {"scopeSpans": None},
        {"scopeSpans": [{"scope": None, "spans": None}]}, {"scopeSpans": [{"scope": {"name": 5}}]},
        {"scopeSpans": [7]}, {"scopeSpans": {}}, {"schemaUrl": "x", "unheard": 1},
    ],
    ids=str,
)  # fmt: skip
def test_an_odd_outline(told: dict[str, Any]) -> None:
    request = traces.request(*a_run(1).spans)
    request["resourceSpans"] += traces.request(*a_run(2).spans)["resourceSpans"]
    request["resourceSpans"][1].update(told)
    agrees(json.dumps(request).encode())
