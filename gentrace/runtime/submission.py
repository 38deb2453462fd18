"""The submission to the provider that is under way: what its calls and its row tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import Span, SpanKind

from gentrace.runtime.context import Run

_METHODS = ("http.request.method", "http.method")
_CODES = ("http.response.status_code", "http.status_code")
_REFUSED = 400


@dataclass(eq=False, slots=True)
class Submission:
    """One call of the provider service's execute.

    Attributes:
        called: the span of its last HTTP call.
    """

    run: Run
    span: Span
    called: Span | None = None

    def http_status(self) -> int | None:
        """What the last HTTP call was refused with; None where it was not, or none was answered."""
        told: Mapping[str, Any] = getattr(self.called, "attributes", None) or {}
        code = next((told[name] for name in _CODES if name in told), None)
        return code if isinstance(code, int) and code >= _REFUSED else None


under_way: ContextVar[Submission | None] = ContextVar("gentrace.submission", default=None)


def calls(span: Span, given: Mapping[str, Any]) -> None:
    """A library has started a span inside a submission.

    Args:
        given: what it started the span with.
    """
    submission = under_way.get()
    if submission is None or given.get("kind") is not SpanKind.CLIENT:
        return
    attributes: Mapping[str, Any] = given.get("attributes") or {}
    if any(name in attributes for name in _METHODS):
        submission.called = span
