"""Sentry's envelopes: a line of JSON, then of each item a line of JSON and its payload.

A transaction is a span with those under it. The spans that the SDK streams, if it is told to, come
as lists. Source: develop.sentry.dev, "Envelopes" and "Transaction payloads"; sentry-sdk 2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bench.receivers.arrived import Arrived, NotUnderstood

PATHS = ("/api/1/envelope/",)


def spans(_path: str, body: bytes) -> Iterator[Arrived]:
    """The spans of one envelope; errors, sessions and the like have none."""
    for kind, payload in items(body):
        if kind == "transaction":
            yield from _of_transaction(json.loads(payload))
        elif kind == "span":
            for span in json.loads(payload).get("items", []):
                yield _streamed(span)


def items(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Type and payload of each item: of a length that is told, else up to the line's end."""
    try:
        at = body.index(b"\n") + 1
        json.loads(body[:at])
        while at < len(body):
            line_end = _line_end(body, at)
            header = json.loads(body[at:line_end] or b"{}")
            begin = line_end + 1
            length = header.get("length")
            end = _line_end(body, begin) if length is None else begin + length
            if header:
                yield str(header["type"]), body[begin:end]
            at = end + 1
    except (ValueError, KeyError) as error:
        raise NotUnderstood("no envelope") from error


def _line_end(body: bytes, at: int) -> int:
    found = body.find(b"\n", at)
    return found if found >= 0 else len(body)


def _of_transaction(event: dict[str, Any]) -> Iterator[Arrived]:
    trace, process = event["contexts"]["trace"], str(event.get("environment", ""))
    start = _ns(event["start_timestamp"])
    yield Arrived(start, trace["trace_id"], process, str(event.get("transaction", "")))
    for span in event.get("spans", []):
        name = str(span.get("op", ""))
        yield Arrived(_ns(span["start_timestamp"]), span["trace_id"], process, name)


def _streamed(span: dict[str, Any]) -> Arrived:
    environment = span.get("attributes", {}).get("sentry.environment", {}).get("value", "")
    start = _ns(span["start_timestamp"])
    return Arrived(start, span["trace_id"], str(environment), str(span.get("name", "")))


def _ns(moment: str | float) -> int:
    """Seconds since 1970, or a date in ISO format and UTC."""
    seconds = (
        moment if isinstance(moment, int | float) else datetime.fromisoformat(moment).timestamp()
    )
    return int(seconds * 1e9)
