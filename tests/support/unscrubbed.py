"""Spans in OTLP JSON, made by hand and sent as a host would that scrubs nothing."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

import httpx

from tools.servers import CollectorServer

PROMPT = "a marmaladefactory below the velvetastronomer"
numbers = count(int(time.time()) << 16)


def typed(value: Any) -> dict[str, Any]:
    """OTLP JSON's AnyValue."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case list():
            return {"arrayValue": {"values": [typed(each) for each in value]}}  # pyright: ignore
        case _:
            return {"stringValue": str(value)}


def pairs(**attributes: Any) -> list[dict[str, Any]]:
    """Attributes as OTLP JSON has them; `__` stands for a dot."""
    return [
        {"key": key.replace("__", "."), "value": typed(value)} for key, value in attributes.items()
    ]


def a_span(name: str, trace_id: str, **more: Any) -> dict[str, Any]:
    """A span of a second, in OTLP JSON."""
    start = time.time_ns()
    return {
        "traceId": trace_id,
        "spanId": f"{next(numbers):016x}",
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_000_000_000),
        **more,
    }


def send(collector: CollectorServer, spans: list[dict[str, Any]], **resource: Any) -> None:
    """Send them as a host would that scrubs nothing."""
    scope = {"name": "gentrace", "attributes": pairs(told=PROMPT)}
    block = {
        "resource": {"attributes": pairs(**{"service__name": "redaction", **resource})},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }
    answer = httpx.post(
        f"{collector.otlp_http}/v1/traces", json={"resourceSpans": [block]}, trust_env=False
    )
    assert answer.is_success, answer.text
    assert not answer.json().get("partialSuccess")
