"""Answers as JSON objects: ids are strings, times ISO-8601 UTC, durations seconds (``*_s``)."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from gentrace.analysis import gaps, remarks
from gentrace.analysis.generations import Listing
from gentrace.analysis.runs import Run
from gentrace.analysis.tree import build
from gentrace.analysis.tries import Error, Try, tries
from gentrace.core import names
from gentrace.core.run.times import State
from gentrace.core.spans import Span
from gentrace.report.links import Links, Searches

Object = dict[str, Any]


def dumps(answer: Mapping[str, Any]) -> str:
    """The text of an answer."""
    return json.dumps(answer, indent=2, default=_plain)


def iso(at_ns: int) -> str:
    """``2026-07-02T14:00:00.123456Z``."""
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).replace(tzinfo=None)
    return f"{at.isoformat()}.{at_ns % 1_000_000_000 // 1_000:06d}Z"


def seconds(span_ns: int) -> float:
    """Nanoseconds as seconds."""
    return span_ns / 1e9


def listing(found: Listing, links: Links | None = None, searches: Searches | None = None) -> Object:
    """The answer of ``list``; with links where Jaeger's page is known."""
    return {
        "generations": [_linked(row(run), run, links) for run in found.runs],
        "truncated": found.truncated,
        **_searches(searches),
    }


def row(run: Run) -> Object:
    """One run."""
    spent = run.times.spent_ns
    duration_ns = run.duration_ns
    return {
        "id": run.id,
        "run": run.number,
        "trace_id": run.trace_id,
        "outcome": run.outcome,
        "started_at": iso(run.start_ns),
        "duration_s": None if duration_ns is None else seconds(duration_ns),
        "operation": run.operation,
        "provider": run.provider,
        "model": run.model,
        "times": {f"{state}_s": seconds(spent.get(state, 0)) for state in State},
        "state": run.state,
        "state_since": iso(run.times.since_ns) if run.state else None,
        "last_seen": iso(run.last_ns),
        "stage": run.stage,
        "account": run.account,
        "user": run.user,
        "error_code": run.error_code,
        "error_type": run.error_type,
        "error_message": run.error_message,
        "error_http_status": run.error_http_status,
        "error_cause": run.error_cause,
        "error_place": None if run.error_place is None else asdict(run.error_place),
        "tries": run.count(names.TRIES, run.parts.jobs),
        "attempts": run.count(names.ATTEMPTS, run.parts.executes),
        "returned_id": run.returned_id,
        "returned_status": run.returned_status,
        "http_status": run.http_status,
        "incomplete": sorted(run.incomplete),
        "late_events": run.times.late,
    }


def show(runs: Sequence[Run], chosen: Run, links: Links | None = None) -> Object:
    """The answer of ``show``: the run that was chosen, and every run with all its spans."""
    return {
        "generation": _linked(row(chosen), chosen, links),
        "runs": [
            {
                **_linked(row(run), run, links),
                "notes": remarks.of_run(run),
                "tried": [_try(one, run.start_ns) for one in tries(run.parts)],
                "gaps": _gaps(run),
                "spans": _spans(run),
            }
            for run in runs
        ],
        **_searches(links.of_generation(runs) if links else None),
    }


def _linked(answer: Object, run: Run, links: Links | None) -> Object:
    return {**answer, "link": links.trace(run.trace_id)} if links else answer


def _searches(searches: Searches | None) -> Object:
    """The searches in Jaeger that show the same, and how many of the runs they leave out."""
    if searches is None:
        return {}
    return {"links": {"search": list(searches.urls), "left_out": searches.left_out}}


def _try(one: Try, start_ns: int) -> Object:
    """One start of the job; ``like`` is the number of an earlier one that went alike."""
    return {
        "number": one.number,
        **_work(one.span, start_ns),
        "instance": one.span.instance,
        "outcome": one.outcome,
        "status": one.status,
        "reason": one.reason,
        **_error(one.error),
        "like": one.like or None,
        "attempts": [
            {
                "number": attempt.number,
                **_work(attempt.span, start_ns),
                "provider_status": attempt.status,
                **_error(attempt.error),
                "like": attempt.like or None,
            }
            for attempt in one.attempts
        ],
    }


def _work(span: Span, start_ns: int) -> Object:
    return {
        "span_id": span.span_id,
        "started_at": iso(span.start_ns),
        "offset_s": seconds(span.start_ns - start_ns),
        "duration_s": None if span.open else seconds(span.duration_ns),
    }


def _error(error: Error | None) -> Object:
    return {
        "error_code": error.code if error else None,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
    }


def _gaps(run: Run) -> list[Object]:
    """Over a second inside a job or a request of which no span tells."""
    found = gaps.find(build(run.parts.spans, fold=False))
    return [
        {
            "span_id": gap.span.span_id,
            "started_at": iso(gap.start_ns),
            "offset_s": seconds(gap.start_ns - run.start_ns),
            "duration_s": seconds(gap.took_ns),
            "after": gap.after.name if gap.after else None,
            "before": gap.before.name if gap.before else None,
            "logged": [event.name for event in gap.logged],
        }
        for gap in sorted(chain(*found.values()), key=lambda each: each.start_ns)
    ]


def _spans(run: Run) -> list[Object]:
    known = {span.span_id for span in run.trace.spans}
    return [_span(span, run.start_ns, known) for span in run.parts.spans]


def _span(span: Span, start_ns: int, known: set[str]) -> Object:
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id or None,
        "parent_missing": bool(span.parent_id) and span.parent_id not in known,
        "name": span.name,
        "kind": span.kind,
        "service": span.service,
        "instance": span.instance,
        "started_at": iso(span.start_ns),
        "offset_s": seconds(span.start_ns - start_ns),
        "duration_s": None if span.open else seconds(span.duration_ns),
        "status": span.status,
        "status_message": span.status_message or None,
        "attributes": _finite(span.attributes),
        "events": [
            {"name": e.name, "at": iso(e.at_ns), "attributes": _finite(e.attributes)}
            for e in span.events
        ],
        "links": [
            {"trace_id": k.trace_id, "span_id": k.span_id, "attributes": _finite(k.attributes)}
            for k in span.links
        ],
        "scope": span.scope,
    }


def _finite(attributes: Mapping[str, Any]) -> Object:
    """Attributes without numbers that JSON does not know (NaN and the infinities become text)."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in attributes.items()
    }


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
