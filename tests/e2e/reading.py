"""What the tests look for in spans, received or spooled: traces, their roots, what is missing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from gentrace.core.names import OF_THE_RECORD, STARTUP
from tests.support.otlp_receiver import Span

SERVER_SPAN = "POST /api/v1/generations"
OF_THE_API = {
    SERVER_SPAN,
    "create_generation",
    "generation.hash",
    "enqueue process_generation",
}
OF_THE_WORKER = {
    "process_generation",
    "account.select",
    "provider.execute",
    "provider.poll",
    "generation.finish",
}
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
CODES = ("UNSET", "OK", "ERROR")


def by_trace(spans: Iterable[Span]) -> dict[str, list[Span]]:
    """The spans of each trace id."""
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span["trace_id"]].append(span)
    return dict(traces)


def of_generation(spans: Iterable[Span], generation_id: str) -> list[Span]:
    """Every span of the one trace that names the generation; empty while there is none."""
    spans = list(spans)
    found = trace_ids(spans).get(generation_id, set())
    assert len(found) <= 1, f"generation {generation_id} is in {len(found)} traces"
    return [span for span in spans if span["trace_id"] in found]


def trace_ids(spans: Iterable[Span]) -> dict[str, set[str]]:
    """The traces in which each generation id occurs."""
    found: dict[str, set[str]] = defaultdict(set)
    for span in spans:
        if "generation.id" in span["attributes"]:
            found[span["attributes"]["generation.id"]].add(span["trace_id"])
    return dict(found)


def roots(spans: Iterable[Span]) -> list[Span]:
    """The spans without a parent."""
    return [span for span in spans if not span["parent_span_id"]]


def orphans(spans: Sequence[Span]) -> list[tuple[str, str]]:
    """Name and parent id of the spans whose parent is not among their trace's."""
    known = {(span["trace_id"], span["span_id"]) for span in spans}
    return [
        (span["name"], span["parent_span_id"])
        for span in spans
        if span["parent_span_id"] and (span["trace_id"], span["parent_span_id"]) not in known
    ]


def names(spans: Iterable[Span]) -> set[str]:
    """The spans' names."""
    return {span["name"] for span in spans}


def services(spans: Iterable[Span]) -> set[str]:
    """The service names of the processes that made the spans; the runs' own are of none."""
    own = (span for span in spans if span["name"] not in OF_THE_RECORD)
    return {span["resource"]["service.name"] for span in own}


def only(spans: Iterable[Span], name: str) -> Span:
    """The one span of that name."""
    found = [span for span in spans if span["name"] == name]
    assert len(found) == 1, f"{len(found)} spans {name}"
    return found[0]


def path(spans: Iterable[Span], span: Span) -> list[str]:
    """The names from the root down to the span."""
    by_id = {each["span_id"]: each for each in spans}
    found = [span["name"]]
    while span["parent_span_id"] in by_id:
        span = by_id[span["parent_span_id"]]
        found.append(span["name"])
    return found[::-1]


def complete(generation_ids: Collection[str], parts: Collection[str]) -> Callable[..., bool]:
    """Whether each generation has a rooted trace with all these spans, none of them orphaned."""

    def holds(spans: Sequence[Span]) -> bool:
        traces, found = by_trace(spans), trace_ids(spans)
        for generation_id in generation_ids:
            members = [s for t in found.get(generation_id, ()) for s in traces[t]]
            if not names(members).issuperset(parts) or not roots(members) or orphans(members):
                return False
        return True

    return holds


def spooled(folder: Path) -> list[Span]:
    """The spans in a spool, as the receiver would show them; every line must be whole JSON.

    But for what each process told of itself.
    """
    spans: list[Span] = []
    for file in sorted(folder.glob("*.jsonl")):
        if not file.name.startswith("processes-"):
            for line in file.read_text(encoding="utf-8").splitlines():
                spans += _request(json.loads(line))
    return [span for span in spans if span["name"] != STARTUP]


def spooled_of(folder: Path, generation_id: str) -> list[Span]:
    """The spans of one generation's trace in a spool, by start."""
    return sorted(of_generation(spooled(folder), generation_id), key=lambda s: s["start_ns"])


def _request(request: dict[str, Any]) -> Iterable[Span]:
    for of_resource in request["resourceSpans"]:
        resource = _attributes(of_resource["resource"].get("attributes", []))
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                yield {
                    "resource": resource,
                    "scope": of_scope.get("scope", {}).get("name", ""),
                    "name": span["name"],
                    "kind": KINDS[span.get("kind", 0)],
                    "trace_id": span["traceId"],
                    "span_id": span["spanId"],
                    "parent_span_id": span.get("parentSpanId", ""),
                    "start_ns": int(span["startTimeUnixNano"]),
                    "end_ns": int(span["endTimeUnixNano"]),
                    "attributes": _attributes(span.get("attributes", [])),
                    "events": span.get("events", []),
                    "links": span.get("links", []),
                    "status": {
                        "code": CODES[span.get("status", {}).get("code", 0)],
                        "message": span.get("status", {}).get("message", ""),
                    },
                }


def attributes_of(part: dict[str, Any]) -> dict[str, Any]:
    """Those of an event or a link, received or spooled."""
    given: Any = part.get("attributes", {})
    return _attributes(given) if isinstance(given, list) else given


def _attributes(pairs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: _value(pair["value"]) for pair in pairs}


def _value(value: dict[str, Any]) -> Any:
    (kind,) = value
    if kind == "arrayValue":
        return [_value(each) for each in value[kind].get("values", [])]
    return int(value[kind]) if kind == "intValue" else value[kind]
