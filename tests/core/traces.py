"""Builds spans and their OTLP JSON by hand: a trace a line, times in ms after ``START``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gentrace.core.spans import Event, Link, Span

START = 1_782_000_000_000_000_000  # 2026-06-21T00:00:00Z
MS = 1_000_000
MINUTE_NS = 60 * 10**9
Json = dict[str, Any]


def trace_id(seed: str) -> str:
    """A trace id that is the same in every run."""
    return hashlib.sha256(seed.encode()).hexdigest()[:32]


class Tracer:
    """Makes the spans of one trace, with counted span ids.

    Args:
        seed: names the trace.
        generation: put on every span as generation.id where given.
        start_ns: what 0 ms is.
    """

    def __init__(self, seed: str, generation: str | None = None, start_ns: int = START) -> None:
        self.trace_id = trace_id(seed)
        self.seed, self.generation, self.start_ns = seed, generation, start_ns
        self.spans: list[Span] = []

    def span(
        self,
        name: str,
        start_ms: float,
        end_ms: float,
        parent: Span | str | None = None,
        /,
        kind: str = "INTERNAL",
        service: str = "worker",
        error: str = "",
        message: str = "",
        events: Sequence[tuple[str, float, Mapping[str, Any]]] = (),
        links: Sequence[Link] = (),
        **attributes: Any,
    ) -> Span:
        """Add a span; ``__`` in an attribute's name stands for a dot."""
        attributes = {key.replace("__", "."): value for key, value in attributes.items()}
        if self.generation is not None and kind != "CLIENT":
            attributes.setdefault("generation.id", self.generation)
        if error:
            attributes["error.type"] = error
        number = len(self.spans) + 1
        made = Span(
            trace_id=self.trace_id,
            span_id=f"{int(self.trace_id[:8], 16) * 1000 + number:016x}",
            parent_id=parent.span_id if isinstance(parent, Span) else parent or "",
            name=name,
            kind=kind,
            start_ns=self.at(start_ms),
            end_ns=self.at(end_ms) if end_ms >= 0 else 0,
            attributes=attributes,
            events=tuple(Event(n, self.at(ms), dict(a)) for n, ms, a in events),
            links=tuple(links),
            status="ERROR" if error else "UNSET",
            status_message=message,
            service=f"pixsim7-{service}",
            instance=f"{service}-1",
            resource={
                "service.name": f"pixsim7-{service}",
                "service.instance.id": f"{service}-1",
            },
            scope="gentrace",
        )
        self.spans.append(made)
        return made

    def at(self, ms: float) -> int:
        """Unix ns of that many ms after the start."""
        return self.start_ns + round(ms * MS)

    def sql(self, parent: Span, start_ms: float, count: int, each_ms: float = 0.5) -> None:
        """Add SQL calls below a span, one after the other."""
        for number in range(count):
            at = start_ms + number * each_ms
            operation = "SELECT" if number % 3 else "UPDATE"
            self.span(
                f"{operation} pixsim7",
                at,
                at + each_ms,
                parent,
                kind="CLIENT",
                service=parent.service.removeprefix("pixsim7-"),
                db__system="postgresql",
                db__operation=operation,
            )


def completed(seed: str = "28", generation: str = "28", start_ns: int = START) -> Tracer:
    """A text_to_video that went well, as the worker and the API write it: 8.1 s."""
    t = Tracer(seed, generation, start_ns)
    api: dict[str, Any] = {"service": "api"}
    server = t.span(
        "POST /api/v1/generations",
        0,
        265,
        kind="SERVER",
        http__route="/api/v1/generations",
        http__request__method="POST",
        http__response__status_code=201,
        **api,
    )
    create = t.span(
        "create_generation",
        4,
        262,
        server,
        generation__operation="text_to_video",
        generation__provider="pixverse",
        generation__model="v5",
        generation__user__id="3",
        generation__dedup="miss",
        generation__cache="miss",
        generation__run=1,
        events=[("generation.status", 244, {"generation.status": "pending"})],
        **api,
    )
    t.sql(create, 20, 8, 2)
    t.span("generation.hash", 40, 41, create, generation__hash="9f2c6a1be1d0", **api)
    t.span("generation.dedup", 41, 43, create, generation__dedup="miss", **api)
    t.span("generation.cache", 43, 44, create, generation__cache="miss", **api)
    enqueue = t.span(
        "enqueue process_generation",
        258,
        261,
        create,
        kind="PRODUCER",
        generation__enqueue__outcome="enqueued",
        messaging__message__id="gen:28",
        **api,
    )
    job = t.span(
        "process_generation",
        568,
        720,
        enqueue,
        kind="CONSUMER",
        generation__job__outcome="succeeded",
        generation__job__status="submitted",
        generation__job__try=1,
        messaging__message__id="gen:28",
    )
    t.sql(job, 570, 5, 1)
    t.span("account.select", 583, 611, job, generation__account__id="1")
    t.span("account.credits", 612, 634, job, generation__account__id="1")
    execute = t.span(
        "provider.execute",
        664,
        715,
        job,
        generation__provider="pixverse",
        generation__model="v5",
        generation__attempt=1,
        generation__provider__job_id="4711",
        generation__account__id="1",
    )
    adapter = t.span("pixverse._generate_text_to_video", 688, 701, execute)
    t.span(
        "POST",
        689,
        700,
        adapter,
        kind="CLIENT",
        http__request__method="POST",
        url__full="https://app-api.pixverse.ai/creative_platform/video/t2v",
        http__response__status_code=200,
    )
    poll = t.span(
        "provider.poll",
        7588,
        8050,
        execute,
        generation__provider__status="completed",
        generation__provider__job_id="4711",
        generation__polls=3,
        gentrace__caller="cron:poll_job_statuses",
    )
    t.span("pixverse.check_status", 7590, 7634, poll)
    t.span(
        "generation.finish",
        7896,
        8038,
        poll,
        generation__outcome="completed",
        events=[
            (
                "generation.status",
                7932,
                {"generation.status": "completed", "generation.status.previous": "processing"},
            ),
        ],
    )
    return t


def failed(seed: str = "29", generation: str = "29", start_ns: int = START) -> Tracer:
    """An image_to_video whose prompt the provider refused: 0.9 s."""
    t = Tracer(seed, generation, start_ns)
    api: dict[str, Any] = {"service": "api"}
    server = t.span(
        "POST /api/v1/generations",
        0,
        60,
        kind="SERVER",
        http__route="/api/v1/generations",
        http__request__method="POST",
        http__response__status_code=201,
        **api,
    )
    create = t.span(
        "create_generation",
        4,
        55,
        server,
        generation__operation="image_to_video",
        generation__provider="pixverse",
        generation__model="v5.5",
        generation__user__id="4",
        generation__dedup="miss",
        generation__run=1,
        **api,
    )
    enqueue = t.span(
        "enqueue process_generation",
        50,
        54,
        create,
        kind="PRODUCER",
        generation__enqueue__outcome="enqueued",
        **api,
    )
    job = t.span(
        "process_generation",
        460,
        900,
        enqueue,
        kind="CONSUMER",
        generation__job__outcome="succeeded",
        generation__job__status="failed",
        generation__job__reason="content_filtered",
        generation__job__try=1,
    )
    t.sql(job, 461, 12, 0.7)
    t.span("account.select", 480, 500, job, generation__account__id="2")
    stack = (
        'Traceback (most recent call last):\n  File "x/pixverse_operations.py", line 88, in _x\n'
    )
    exception = {
        "exception.type": "pixsim7.shared.errors.ContentFilteredError",
        "exception.message": "code 500063: prompt refused",
        "exception.stacktrace": stack,
    }
    error: dict[str, Any] = {
        "error": "pixsim7.shared.errors.ContentFilteredError",
        "message": "code 500063: prompt refused",
        "generation__error__code": "content_prompt_rejected",
    }
    execute = t.span(
        "provider.execute",
        520,
        800,
        job,
        generation__provider="pixverse",
        generation__model="v5.5",
        generation__attempt=1,
        generation__account__id="2",
        **error,
    )
    adapter = t.span(
        "pixverse._generate_image_to_video",
        530,
        790,
        execute,
        events=[("exception", 789, exception)],
        **error,
    )
    t.span(
        "POST",
        540,
        780,
        adapter,
        kind="CLIENT",
        http__request__method="POST",
        url__full="https://app-api.pixverse.ai/creative_platform/video/i2v",
        http__response__status_code=400,
        error="400",
    )
    t.span(
        "generation.finish",
        850,
        895,
        job,
        generation__outcome="failed",
        generation__error__code="content_prompt_rejected",
        events=[
            (
                "generation.status",
                880,
                {"generation.status": "failed", "generation.status.previous": "processing"},
            ),
        ],
    )
    return t


def unfinished(seed: str = "30", generation: str = "30", start_ns: int = START) -> Tracer:
    """In its job: the job's own span is not written, what it holds already is."""
    t = Tracer(seed, generation, start_ns)
    server = t.span(
        "POST /api/v1/generations",
        0,
        50,
        kind="SERVER",
        service="api",
        http__route="/api/v1/generations",
        http__response__status_code=201,
    )
    create = t.span(
        "create_generation",
        4,
        48,
        server,
        service="api",
        generation__operation="text_to_video",
        generation__provider="sora",
    )
    t.span(
        "enqueue process_generation",
        40,
        44,
        create,
        kind="PRODUCER",
        service="api",
        generation__enqueue__outcome="enqueued",
    )
    t.span("account.select", 470, 480, "00000000deadbeef", generation__account__id="9")
    t.span("account.credits", 481, 490, "00000000deadbeef", generation__account__id="9")
    return t


def refused(seed: str = "refused", start_ns: int = START) -> Tracer:
    """A request that made no generation."""
    t = Tracer(seed, None, start_ns)
    t.span(
        "POST /api/v1/generations",
        0,
        9,
        kind="SERVER",
        service="api",
        http__route="/api/v1/generations",
        http__response__status_code=422,
    )
    return t


def returned(seed: str = "returned", start_ns: int = START) -> Tracer:
    """A request that the dedup lookup answered with generation 28."""
    t = Tracer(seed, None, start_ns)
    answer: dict[str, Any] = {
        "generation__returned__id": "28",
        "generation__returned__status": "completed",
    }
    server = t.span(
        "POST /api/v1/generations",
        0,
        30,
        kind="SERVER",
        service="api",
        http__route="/api/v1/generations",
        http__response__status_code=201,
        **answer,
    )
    create = t.span(
        "create_generation",
        4,
        28,
        server,
        service="api",
        generation__dedup="hit",
        links=[Link(trace_id("28"), "1" * 16, {"gentrace.link": "returned_run"})],
        **answer,
    )
    t.span(
        "generation.dedup",
        5,
        9,
        create,
        service="api",
        generation__dedup="hit",
        generation__found__id="28",
    )
    return t


def value(item: Any) -> Json:
    """An OTLP AnyValue."""
    if isinstance(item, bool):
        return {"boolValue": item}
    if isinstance(item, int):
        return {"intValue": str(item)}
    if isinstance(item, float):
        return {"doubleValue": item}
    if isinstance(item, list):
        return {"arrayValue": {"values": [value(i) for i in item]}}  # pyright: ignore[reportUnknownVariableType]
    return {"stringValue": str(item)}


def pairs(attributes: Mapping[str, Any]) -> list[Json]:
    """OTLP attributes."""
    return [{"key": key, "value": value(item)} for key, item in attributes.items()]


def request(*spans: Span) -> Json:
    """One ExportTraceServiceRequest."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": pairs(span.resource)},
                "scopeSpans": [{"scope": {"name": span.scope}, "spans": [encoded(span)]}],
            }
            for span in spans
        ]
    }


def encoded(span: Span) -> Json:
    """One span as OTLP JSON."""
    kinds = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": kinds.index(span.kind),
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": pairs(span.attributes),
        "events": [
            {"name": e.name, "timeUnixNano": str(e.at_ns), "attributes": pairs(e.attributes)}
            for e in span.events
        ],
        "links": [
            {"traceId": k.trace_id, "spanId": k.span_id, "attributes": pairs(k.attributes)}
            for k in span.links
        ],
        "status": {
            "code": ("UNSET", "OK", "ERROR").index(span.status),
            "message": span.status_message,
        },
    }


def line(*spans: Span) -> str:
    """One line of a spool file."""
    return json.dumps(request(*spans)) + "\n"


def write(path: Path, *tracers: Tracer) -> Path:
    """A spool file with one line a span."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(line(span) for tracer in tracers for span in tracer.spans)
    return path
