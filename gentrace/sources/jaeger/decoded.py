"""What Jaeger gives, as the spans that were sent: in OTLP (API v3) or in its own JSON (API v1).

Jaeger 1 stored every span in a model of its own: arrays as JSON text, the kind, the status and the
scope as tags, links without their attributes. What can be told is put back here; the attributes of
links cannot. API v1 rounds times to microseconds.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gentrace.core import names, otlp
from gentrace.core.spans import KINDS, Event, Link, Span
from gentrace.sources.jaeger.bodies import as_list, as_object

WARNINGS = "@jaeger@warnings"
_JAEGERS_OWN = frozenset({WARNINGS, "internal.span.format", "w3c.tracestate"})
_CUT = re.compile(r"more than \d+ spans")
_SCOPE = ("otel.scope.name", "otel.library.name")
_SCOPE_VERSION = ("otel.scope.version", "otel.library.version")


class Decoded(list[Span]):
    """Spans; ``damaged`` more were there, ``cut`` is what Jaeger says of those it held back."""

    def __init__(self, spans: Iterable[Span] = (), damaged: int = 0, cut: str = "") -> None:
        super().__init__(spans)
        self.damaged, self.cut = damaged, cut


def of_v3(objects: Iterable[Any]) -> Decoded:
    """The spans of an answer of API v3: several objects, each with its ``result``.

    Raises:
        ValueError: it holds something else.
    """
    found = Decoded()
    for value in objects:
        piece = as_object(value)
        result = piece.get("result", piece)
        if not isinstance(value, dict) or not isinstance(result, Mapping):
            raise ValueError("an object with spans was expected")
        if piece and "resourceSpans" not in result and "resource_spans" not in result and result:
            raise ValueError("an object with spans was expected")
        spans, damaged = otlp.decode(result)
        found.damaged += damaged
        found.extend(_restored(span, found) for span in spans)
    return found


def of_v1(trace: Any) -> Decoded:
    """The spans of one trace in Jaeger's own JSON.

    Raises:
        ValueError: this is no such trace.
    """
    found = Decoded()
    if not isinstance(as_object(trace).get("spans"), list):
        raise ValueError("a trace with spans was expected")
    processes = as_object(trace.get("processes"))
    for raw in trace["spans"]:
        try:
            span = _span(raw, as_object(raw.get("process") or processes[raw["processID"]]))
        except (ValueError, TypeError, KeyError, AttributeError):
            found.damaged += 1
            continue
        found.cut = found.cut or _cut(raw.get("warnings"))
        found.append(_restored(span, found))
    return found


def _restored(span: Span, into: Decoded) -> Span:
    """Without what Jaeger added, and with arrays where gentrace wrote arrays."""
    attributes = dict(span.attributes)
    into.cut = into.cut or _cut(attributes.get(WARNINGS))
    for name in _JAEGERS_OWN & attributes.keys():
        del attributes[name]
    for name, value in attributes.items():
        declared = names.ATTRIBUTES.get(name)
        if declared is not None and declared.type.endswith("[]") and isinstance(value, str):
            attributes[name] = _array(value)
    return span if attributes == span.attributes else replace(span, attributes=attributes)


def _array(value: str) -> Any:
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, list) else value


def _cut(warnings: Any) -> str:
    told = warnings if isinstance(warnings, list) else [warnings]
    return next((str(each) for each in told if each and _CUT.search(str(each))), "")


def _span(raw: Mapping[str, Any], process: Mapping[str, Any]) -> Span:
    tags = _tags(raw.get("tags"))
    trace_id = _id(raw["traceID"], 32)
    parent_id, links = _references(raw, trace_id)
    resource = {"service.name": str(process["serviceName"]), **_tags(process.get("tags"))}
    start_ns = int(raw["startTime"]) * 1_000
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
        end_ns=start_ns + int(raw["duration"]) * 1_000,
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
    return Event(str(fields.pop("event", "")), int(log["timestamp"]) * 1_000, fields)


def _tags(pairs: Any) -> dict[str, Any]:
    return dict(_tag(as_object(pair)) for pair in as_list(pairs))


def _tag(pair: Mapping[str, Any]) -> tuple[str, Any]:
    value = pair["value"]
    match pair.get("type"):
        case "int64":
            value = int(value)
        case "float64":
            value = float(value)
        case "bool":
            value = value if isinstance(value, bool) else str(value).lower() == "true"
        case "binary":
            value = base64.b64decode(str(value))
        case _:
            value = str(value)
    return str(pair["key"]), value


def _id(text: Any, digits: int) -> str:
    """Hex of a fixed length: Jaeger leaves leading zeros out in places."""
    found = str(text).lower().zfill(digits)
    if len(found) != digits or not set(found) <= set("0123456789abcdef") or not found.strip("0"):
        raise ValueError(f"not an id: {text!r}")
    return found


def together(parts: Iterable[Decoded]) -> Decoded:
    """Several answers as one."""
    found = Decoded()
    for part in parts:
        found.extend(part)
        found.damaged += part.damaged
        found.cut = found.cut or part.cut
    return found


def trace_ids(spans: Iterable[Span]) -> Iterator[str]:
    """The traces that the spans are of, each once, in order."""
    yield from dict.fromkeys(span.trace_id for span in spans)
