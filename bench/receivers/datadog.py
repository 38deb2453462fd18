"""The traces that ddtrace sends to an agent, in the formats v0.4 and v0.5: msgpack.

v0.4 is a list of traces, each a list of maps. v0.5 is the list of all texts, and such a list of
traces in which a span is a list of twelve and a text its place in the first list: service, name,
resource, trace id, span id, parent id, start, duration, error, meta, metrics, type. Source: the
agent's pkg/trace (`traces.pb.go`, `decoder_v05.go`); ddtrace 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from bench.receivers.arrived import Arrived, NotUnderstood

V4, V5 = "/v0.4/traces", "/v0.5/traces"
PATHS = (V4, V5)
INFO = "/info"
WHAT_IT_TAKES = {"version": "7.60.0", "endpoints": [V4, V5], "client_drop_p0s": False}
"""What an agent answers to the question what it can do."""
RATES = {"rate_by_service": {"service:,env:": 1.0}}
"""What an agent answers to traces: send everything."""


def spans(path: str, body: bytes) -> Iterator[Arrived]:
    """The spans of one message."""
    try:
        decoded = msgspec.msgpack.decode(body)
        yield from _v5(decoded) if path == V5 else _v4(decoded)
    except (msgspec.DecodeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise NotUnderstood("no traces") from error


def _v4(traces: list[list[dict[str, Any]]]) -> Iterator[Arrived]:
    for trace in traces:
        for span in trace:
            yield _arrived(span["start"], span["trace_id"], span["service"], span["name"])


def _v5(message: tuple[list[str], list[list[list[Any]]]]) -> Iterator[Arrived]:
    texts, traces = message
    for trace in traces:
        for span in trace:
            service, name, _, trace_id, _, _, start, *_ = span
            yield _arrived(start, trace_id, texts[service], texts[name])


def _arrived(start_ns: int, trace_id: int, service: str | None, name: str) -> Arrived:
    return Arrived(start_ns, f"{trace_id:016x}", service or "", name)
