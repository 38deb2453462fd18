"""``GENTRACE_SQL=slow``: spans for slow and failing SQL statements, counts for the others.

A statement's span is made when it is over and was worth one, as of its start. The others are
counted, with their time, on the span that they would have hung under.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from gentrace.core import names
from gentrace.runtime.context import recording, span_context
from gentrace.runtime.held_span import HeldSpan
from gentrace.runtime.tracing import GatedTracer

SLOW_S = 0.1


class Statement(HeldSpan):
    """Stands for one statement's span until it is over."""

    def __init__(self, tracer: GatedTracer, name: str, context: Any, given: dict[str, Any]) -> None:
        super().__init__(name, dict(given.pop("attributes", None) or {}))
        self._tracer, self._context, self._given = tracer, context, given
        self._start_ns = int(given.pop("start_time", None) or time.time_ns())
        self._status: tuple[Any, str | None] | None = None
        self._errors: list[tuple[BaseException, Any]] = []

    def end(self, end_time: int | None = None) -> None:
        """Decide: a span of its own, or one more on its parent."""
        if self._over:
            return
        self._over = True
        end_ns = end_time or time.time_ns()
        took_s = max(0, end_ns - self._start_ns) / 1e9
        failed = self._errors or _is_error(self._status)
        if took_s < SLOW_S and not failed:
            self._count(took_s)
            return
        span = self._tracer.real().start_span(
            self._name,
            self._context,
            attributes=self._attributes,
            start_time=self._start_ns,
            **self._given,
        )
        for exc, attributes in self._errors:
            span.record_exception(exc, attributes)
        if self._status is not None:
            span.set_status(*self._status)
        span.end(end_ns)

    def _count(self, took_s: float) -> None:
        if self._name == names.SQL_CONNECT:
            return  # no statement
        parent: Any = trace.get_current_span(self._context)
        if not parent.is_recording():
            return
        known = getattr(parent, "attributes", None) or {}
        parent.set_attribute(names.SQL_COUNT, int(known.get(names.SQL_COUNT, 0)) + 1)
        parent.set_attribute(names.SQL_TIME, float(known.get(names.SQL_TIME, 0.0)) + took_s)

    def get_span_context(self) -> trace.SpanContext:
        return trace.get_current_span(self._context).get_span_context()

    def set_status(self, status: Any, description: str | None = None) -> None:
        self._status = (status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self._errors.append((exception, attributes))


def decide(
    tracer: GatedTracer, name: str, context: otel_context.Context | None = None, **given: Any
) -> Span | None:
    """A :class:`Statement` where one belongs; None leaves the decision to the gate."""
    scope = recording()
    if scope is None:
        return None
    if scope.run is not None and scope.run.generation_id is not None:
        attributes = {
            **(given.get("attributes") or {}),
            names.GENERATION_ID: scope.run.generation_id,
        }
        given["attributes"] = attributes
    return Statement(tracer, name, context or span_context(scope), given)


def _is_error(status: tuple[Any, str | None] | None) -> bool:
    if status is None:
        return False
    code = status[0].status_code if isinstance(status[0], Status) else status[0]
    return code is StatusCode.ERROR
