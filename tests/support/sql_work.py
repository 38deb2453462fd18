"""Statements below a span of a run, in this process, and the spans that come of them."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from gentrace.core import names, profile, settings
from gentrace.core.scrub import Scrubber
from gentrace.runtime import context
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.export.scrubbing import clean
from gentrace.runtime.guard import Guard
from gentrace.runtime.hooks import slow_sql
from gentrace.runtime.hooks.sql_spans import SqlSpans
from gentrace.runtime.tracing import GatedTracerProvider, Tracing, below

SCRUBBER = Scrubber(b"k" * 32)


@dataclass
class Ended(SpanProcessor):
    """Keeps what ended."""

    spans: list[ReadableSpan] = field(default_factory=list[ReadableSpan])

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def named(self, begins: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name.startswith(begins)]

    def shown(self) -> list[ReadableSpan]:
        """The spans as they would be exported."""
        return clean(self.spans, Resource({}), SCRUBBER)

    def names(self) -> list[str]:
        """The spans' names, but for that of the span at work."""
        return [span.name for span in self.spans if span.name != "outer"]


@dataclass
class SqlWork:
    """SQLAlchemy, listened to; and what ended."""

    ended: Ended
    tracing: Tracing
    spans: SqlSpans
    guard: Guard

    @contextmanager
    def run(self, generation_id: str = "7") -> Generator[None]:
        """What happens in here is below a span `outer` of that generation."""
        run = Run(generation_id)
        outer = self.tracing.start("outer", run, parent=below(None))
        run.parent = outer.get_span_context()
        scope = Scope("job", run, "job:x")
        token = context.enter(scope, outer)
        try:
            yield
        finally:
            context.leave(token)
            scope.close()
            outer.end()

    def outer(self) -> dict[str, Any]:
        """The attributes of the span at work."""
        (ended,) = self.ended.named("outer")
        return dict(ended.attributes or {})

    def only(self, begins: str) -> ReadableSpan:
        """The one span whose name begins so."""
        (span,) = self.ended.named(begins)
        assert (span.attributes or {})[names.GENERATION_ID] == "7"
        return span


@contextmanager
def no_others() -> Generator[None]:
    """Those of a hooked host in this process are set aside meanwhile."""
    others = [each for each in gc.get_objects() if isinstance(each, SqlSpans) and each.installed]
    for each in others:
        each.remove()
    try:
        yield
    finally:
        for each in others:
            each.install()


@contextmanager
def sql_work(
    *, slow: bool = False, conventions: str = "", install: bool = True
) -> Generator[SqlWork]:
    """Spans of SQL while it lasts; they go nowhere but into `ended`."""
    ended = Ended()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ended)
    tracing = Tracing(profile.load("pixsim7")[0], SCRUBBER, lambda: provider)
    guard = Guard("sqlalchemy")
    read = settings.read({"OTEL_SEMCONV_STABILITY_OPT_IN": conventions})
    engine: Any = SimpleNamespace(
        guard=lambda _name: guard,
        settings=replace(read, sql="slow" if slow else "spans"),
        is_active=lambda: True,
        active=True,
    )
    gated = GatedTracerProvider(tracing, slow_sql.decide if slow else None)
    with no_others():
        spans = SqlSpans(engine, gated)
        if install:
            spans.install()
        try:
            yield SqlWork(ended, tracing, spans, guard)
        finally:
            spans.remove()
