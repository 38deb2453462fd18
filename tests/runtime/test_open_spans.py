"""Spans that have not left: which of them are noted in a run's record, and until when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from gentrace.core import names
from gentrace.core.run.events import OpenSpan
from gentrace.runtime.context import Run
from gentrace.runtime.open_spans import OpenSpans

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")
RUN = Run("7")


@dataclass
class Notes:
    """What was put into the record and taken out again."""

    opened: list[OpenSpan] = field(default_factory=list[OpenSpan])
    closed: list[str] = field(default_factory=list[str])

    def __call__(self, run: Run, opened: tuple[OpenSpan, ...], closed: tuple[str, ...]) -> None:
        assert run is RUN
        self.opened += opened
        self.closed += closed

    def names(self) -> list[str]:
        return [span.name for span in self.opened]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def spans(notes: Notes) -> OpenSpans:
    return OpenSpans(notes, lambda: "me")


def started(spans: OpenSpans, name: str, parent: Any = None, **attributes: Any) -> Any:
    below = trace.set_span_in_context(parent) if parent is not None else None
    span = TRACER.start_span(name, below, attributes=attributes)
    spans.began(span, RUN)
    return span


def over(spans: OpenSpans, span: Any) -> Any:
    span.end()
    spans.changed(span)
    return span


def test_what_leaves_alone_is_never_noted(spans: OpenSpans, notes: Notes) -> None:
    span = over(spans, started(spans, "alone"))
    assert not spans.leaving([span])
    spans.left([span])
    assert notes == Notes()
    assert not spans._open


def test_a_childs_parents_are_noted_before_it_leaves(spans: OpenSpans, notes: Notes) -> None:
    top = started(spans, "top")
    middle = started(spans, "middle", top, **{names.ACCOUNT_ID: "3", "other": 1})
    child = over(spans, started(spans, "child", middle))
    assert spans.leaving([child])
    assert notes.names() == ["middle", "top"]
    (noted, _) = notes.opened
    assert noted.parent == f"{top.context.span_id:016x}"
    assert (noted.instance, noted.end_ns) == ("me", 0)
    assert noted.attributes == {names.ACCOUNT_ID: "3"}
    assert not spans.leaving([over(spans, started(spans, "another", middle))])  # once is enough


def test_a_parent_that_leaves_together_needs_no_note(spans: OpenSpans, notes: Notes) -> None:
    parent = started(spans, "parent")
    child = over(spans, started(spans, "child", parent))
    assert not spans.leaving([child, over(spans, parent)])
    assert notes == Notes()


def test_a_noted_span_that_ends_says_when_and_is_closed_when_it_has_left(
    spans: OpenSpans, notes: Notes
) -> None:
    span = started(spans, "noted")
    spans.note(span)
    over(spans, span)
    assert [each.end_ns for each in notes.opened] == [0, span.end_time]
    assert notes.closed == []
    spans.left([span])
    assert notes.closed == [f"{span.context.span_id:016x}"]
    spans.left([span])
    assert len(notes.closed) == 1


def test_what_is_handed_on_is_given_with_what_is_above_it(spans: OpenSpans, notes: Notes) -> None:
    top = started(spans, "top")
    enqueue = over(spans, started(spans, "enqueue", top))
    found = spans.handed_on({enqueue.context.span_id, 5})
    assert [each.name for each in found] == ["enqueue", "top"]
    assert [each.end_ns for each in found] == [enqueue.end_time, 0]
    assert spans.handed_on({enqueue.context.span_id}) == ()
    assert notes == Notes()  # they go with the change that hands them on


def test_spans_of_no_run_and_unsampled_ones_are_not_kept(spans: OpenSpans) -> None:
    spans.began(TRACER.start_span("of nobody"), None)
    spans.began(trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT), RUN)
    assert not spans._open


def test_memory_is_bounded(spans: OpenSpans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gentrace.runtime.open_spans._MAX", 3)
    kept = [started(spans, str(n)) for n in range(5)]
    assert list(spans._open) == [span.context.span_id for span in kept[2:]]


def test_a_forked_child_has_none(spans: OpenSpans) -> None:
    started(spans, "the parent's")
    spans.forget()
    assert not spans._open
