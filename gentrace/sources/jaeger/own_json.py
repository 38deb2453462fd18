"""Jaeger's own JSON, of API v1, as spans. Its times are in whole microseconds."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from gentrace.core import otlp
from gentrace.core.spans import KINDS, Event, Link, Span
from gentrace.sources.jaeger.bodies import as_list, as_object
from gentrace.sources.jaeger.decoded import Decoded

_SCOPE = ("otel.scope.name", "otel.library.name")
_SCOPE_VERSION = ("otel.scope.version", "otel.library.version")


def is_trace(raw: Any) -> bool:
    """Whether that is a trace at all."""
    return isinstance(as_object(raw).get("spans"), list) and "traceID" in raw


def trace_id(raw: Mapping[str, Any]) -> str:
    """The id of a trace."""
    return str(raw["traceID"]).lower().zfill(32)


def of_v1(trace: Mapping[str, Any]) -> Decoded:
    """The spans of one trace."""
    found = Decoded()
    processes = as_object(trace.get("processes"))
    for raw in trace["spans"]:
        try:
            span = _span(raw, as_object(raw.get("process") or processes[raw["processID"]]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            found.damaged += 1
            continue
        found.take(span, raw.get("warnings"))
    return found


def _span(raw: Mapping[str, Any], process: Mapping[str, Any]) -> Span:
    tags = _tags(raw.get("tags"))
    trace_id = _id(raw["traceID"], 32)
    parent_id, links = _references(raw, trace_id)
    resource = {"service.name": str(process["serviceName"]), **_tags(process.get("tags"))}
    start_ns = _ns(raw["startTime"])
    status = str(tags.pop("otel.status_code", "UNSET")).upper()
    if tags.get("error") is True:
        del tags["error"]
        status = "ERROR"
    scopes = [str(tags.pop(name)) for name in _SCOPE if name in tags]
    for name in _SCOPE_VERSION:
        tags.pop(name, None)
    kind = str(tags.pop("span.kind", "")).upper()
    return Span(
        trace_id=trace_id,
        span_id=_id(raw["spanID"], 16),
        parent_id=parent_id,
        name=str(raw["operationName"]),
        kind=kind if kind in KINDS else KINDS[0],
        start_ns=start_ns,
        end_ns=otlp.time_ns(start_ns + _ns(raw["duration"])),
        status=status if status in ("OK", "ERROR") else "UNSET",
        status_message=str(tags.pop("otel.status_description", "")),
        attributes=tags,
        events=tuple(_event(as_object(log)) for log in as_list(raw.get("logs"))),
        links=links,
        service=resource["service.name"],
        instance=str(resource.get("service.instance.id") or ""),
        resource=resource,
        scope=scopes[0] if scopes else "",
    )


def _references(raw: Mapping[str, Any], trace_id: str) -> tuple[str, tuple[Link, ...]]:
    """The parent, which is the first CHILD_OF of the same trace, and the rest as links."""
    parent_id = _id(raw["parentSpanID"], 16) if raw.get("parentSpanID") else ""
    links: list[Link] = []
    for reference in as_list(raw.get("references")):
        to = Link(_id(reference["traceID"], 32), _id(reference["spanID"], 16))
        child = reference.get("refType") == "CHILD_OF" and to.trace_id == trace_id
        if child and parent_id in ("", to.span_id):
            parent_id = to.span_id
        else:
            links.append(to)
    return parent_id, tuple(links)


def _event(log: Mapping[str, Any]) -> Event:
    fields = _tags(log.get("fields"))
    return Event(str(fields.pop("event", "")), _ns(log["timestamp"]), fields)


def _tags(pairs: Any) -> dict[str, Any]:
    return dict(_tag(as_object(pair)) for pair in as_list(pairs))


def _tag(pair: Mapping[str, Any]) -> tuple[str, Any]:
    value = pair["value"]
    match pair.get("type"):
        case "int64":
            value = otlp.integer(value)
        case "float64":
            value = otlp.real(value)
        case "bool":
            value = value if isinstance(value, bool) else str(value).lower() == "true"
        case "binary":
            value = base64.b64decode(str(value))
        case _:
            value = str(value)
    return str(pair["key"]), value


def _ns(microseconds: Any) -> int:
    return otlp.time_ns(otlp.integer(microseconds) * 1_000)


def _id(text: Any, digits: int) -> str:
    """Hex of a fixed length: Jaeger leaves leading zeros out in places."""
    found = str(text).lower().zfill(digits)
    if len(found) != digits or not set(found) <= set("0123456789abcdef") or not found.strip("0"):
        raise ValueError(f"not an id: {text!r}")
    return found
