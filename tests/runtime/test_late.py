"""Long after a run's end, what is done for it has a trace of its own, linked to the run's."""

from __future__ import annotations

import time

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from gentrace.runtime.context import Run
from gentrace.runtime.tracing import LATE_NS, hang_under, of_job, under

OWN, OTHER = 0xABC, 0xDEF


def at(trace_id: int, span_id: int = 1) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(1))


def ended(seconds_ago: float) -> Run:
    ended_ns = time.time_ns() - round(seconds_ago * 1e9) if seconds_ago else 0
    return Run("7", parent=at(OWN), owned=True, ended_ns=ended_ns)


def placed(found: tuple[object, list[trace.Link]]) -> tuple[int, list[tuple[int, object]]]:
    """The trace to hang in (0: a new one), and each link's trace and reason."""
    context, links = found
    parent = trace.get_current_span(context).get_span_context()  # type: ignore[arg-type]
    return parent.trace_id, [
        (each.context.trace_id, (each.attributes or {})["gentrace.link"]) for each in links
    ]


JUST, LONG = LATE_NS / 1e9 - 5, LATE_NS / 1e9 + 5
OWN_TRACE = (0, [(OWN, "previous_run")])


@pytest.mark.parametrize(("ago_s", "where"), [(0, (OWN, [])), (JUST, (OWN, [])), (LONG, OWN_TRACE)])
def test_a_call_for_a_run(ago_s: float, where: object) -> None:
    assert placed(under(ended(ago_s))) == where


@pytest.mark.parametrize(
    ("ago_s", "sent", "where"),
    [
        (0, OWN, (OWN, [])),
        (0, OTHER, (OWN, [(OTHER, "superseded")])),
        (0, None, (OWN, [])),
        (JUST, OWN, (OWN, [])),
        (LONG, OWN, OWN_TRACE),
        (LONG, None, OWN_TRACE),
        (LONG, OTHER, (OTHER, [])),
    ],
)
def test_a_job_of_a_run(ago_s: float, sent: int | None, where: object) -> None:
    assert placed(of_job(ended(ago_s), at(sent) if sent else None)) == where


def test_a_late_trace_does_not_become_the_runs() -> None:
    run = ended(LONG)
    hang_under(run, NonRecordingSpan(at(OTHER, 5)))
    assert run.parent == at(OWN)
    hang_under(run, NonRecordingSpan(at(OWN, 5)))
    assert run.parent == at(OWN, 5)
