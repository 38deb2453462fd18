"""The tracer provider (our own, or the host's), how spans start and end, and what libraries get.

Instrumentations of libraries receive a provider whose tracers start nothing outside an open
scope: silence is decided before a span starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind

from gentrace import __version__
from gentrace.core import names
from gentrace.core.profile import Profile
from gentrace.core.scrub import Scrubber
from gentrace.runtime import ambient, notices, submission, visibility
from gentrace.runtime.context import Run, leave, recording, span_context
from gentrace.runtime.export.sampling import as_decided
from gentrace.runtime.export.scrubbing import OWN_SCOPE
from gentrace.runtime.open_spans import OpenSpans
from gentrace.runtime.telling import Telling

LATE_NS = 600 * 10**9


class Tracing(Telling):
    """Starts and ends our own spans.

    Args:
        provider: makes (once, when first needed) the provider that spans go to.
    """

    def __init__(
        self, profile: Profile, scrubber: Scrubber, provider: Callable[[], trace.TracerProvider]
    ) -> None:
        super().__init__(profile, scrubber)
        self._make = provider
        self._provider: trace.TracerProvider | None = None
        self._tracer: trace.Tracer | None = None
        self.open: OpenSpans | None = None

    @property
    def provider(self) -> trace.TracerProvider:
        """The provider, made when the first span starts."""
        if self._provider is None:
            self._provider = self._make()
        return self._provider

    @property
    def tracer(self) -> trace.Tracer:
        """Our own tracer."""
        if self._tracer is None:
            self._tracer = self.provider.get_tracer(OWN_SCOPE, __version__)
        return self._tracer

    def flush(self, timeout_s: float) -> None:
        """Flush the provider, where one was made: the host's has our spans in its own queue."""
        flush = getattr(self._provider, "force_flush", None)
        if flush is not None:
            flush(int(timeout_s * 1000))

    def close(self) -> None:
        """Start nothing any more: what libraries keep of us makes spans that record nothing."""
        self._make, self._provider, self._tracer = trace.NoOpTracerProvider, None, None
        self.open = None

    def start(
        self,
        name: str,
        run: Run | None,
        *,
        parent: Any = None,
        kind: SpanKind = SpanKind.INTERNAL,
        start_ns: int | None = None,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] = (),
    ) -> Span:
        """A span of ours. ``parent`` is an OpenTelemetry context; the current one otherwise."""
        given = {k: v for k, v in (attributes or {}).items() if v is not None}
        if run is not None and run.generation_id is not None:
            given[names.GENERATION_ID] = run.generation_id
        span = self.tracer.start_span(
            name,
            context=span_context() if parent is None else parent,
            kind=kind,
            attributes=given,
            links=list(links),
            start_time=start_ns,
        )
        if self.open is not None:
            self.open.began(span, run)
        return span

    def end(self, span: Span, run: Run | None, end_ns: int | None = None) -> None:
        """End a span of ours now, or as soon as its generation's id is known."""
        if run is not None:
            if run.generation_id is not None:
                if names.GENERATION_ID not in (getattr(span, "attributes", None) or ()):
                    span.set_attribute(names.GENERATION_ID, run.generation_id)
            elif not run.closed:
                run.pending.append((span, end_ns or time.time_ns()))
                return
        span.end(end_ns)
        if self.open is not None:
            self.open.changed(span)


def below(parent: trace.SpanContext | None) -> Any:
    """A fresh context whose parent is that span, or a root where there is none."""
    empty = otel_context.Context()
    if parent is None:
        return empty
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), empty)


def under(run: Run) -> tuple[Any, list[Link]]:
    """Where a span of that run hangs that knows no nearer parent, and what it is linked to.

    Long after the run's end it gets a trace of its own: a trace that never ends is read by nobody.
    """
    if run.parent is not None and _is_long_over(run):
        decided = as_decided(run.parent.trace_flags.sampled, below(None))
        return decided, [link(run.parent, names.LINK_PREVIOUS)]
    return below(run.parent), []


def of_job(run: Run, sent: trace.SpanContext | None) -> tuple[Any, list[Link]]:
    """As :func:`under`, for a job of that run which was enqueued under the span ``sent``."""
    same = sent is not None and (run.parent is None or sent.trace_id == run.trace_id)
    if sent is not None and same != _is_long_over(run):
        return below(sent), []  # long after the end, its enqueue has a trace of its own already
    parent, links = under(run)
    return parent, links if sent is None or same else [*links, link(sent, names.LINK_SUPERSEDED)]


def hang_under(run: Run, span: Span) -> None:
    """What comes next in the run hangs under that span, if it is of its trace."""
    own = span.get_span_context()
    if run.parent is None or own.trace_id == run.trace_id:
        run.parent = own


def _is_long_over(run: Run) -> bool:
    return bool(run.ended_ns) and time.time_ns() - run.ended_ns > LATE_NS


def link(to: trace.SpanContext, why: str) -> Link:
    """A link that says why (``gentrace.link``)."""
    return Link(to, {names.LINK: why})


class GatedTracerProvider(trace.TracerProvider):
    """What instrumentations are given; see the module."""

    def __init__(self, tracing: Tracing, decide: Callable[..., Span | None] | None = None) -> None:
        self._tracing, self._decide = tracing, decide

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """A tracer that starts spans inside an open scope only."""
        return GatedTracer(self._tracing, args, kwargs, self._decide)


class GatedTracer(trace.Tracer):
    """Starts a library's span where one belongs, else a span that records nothing.

    Args:
        decide: may answer in the gate's place; None leaves it to us.
    """

    def __init__(
        self,
        tracing: Tracing,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        decide: Callable[..., Span | None] | None,
    ) -> None:
        self._tracing, self._args, self._kwargs = tracing, args, kwargs
        self._decide = decide
        self._real: trace.Tracer | None = None

    def real(self) -> trace.Tracer:
        """The provider's tracer of that name, made when first needed."""
        if self._real is None:
            self._real = self._tracing.provider.get_tracer(*self._args, **self._kwargs)
        return self._real

    def start_span(self, name: str, context: Any = None, *args: Any, **kwargs: Any) -> Span:
        try:
            return self._start(name, context, *args, **kwargs)
        except Exception as exc:
            notices.swallowed("start of a library's span", exc)
            return trace.INVALID_SPAN

    def _start(self, name: str, context: Any, *args: Any, **kwargs: Any) -> Span:
        if self._decide is not None:
            decided = self._decide(self, name, context, *args, **kwargs)
            if decided is not None:
                return decided
        scope = recording()
        if scope is None:
            return trace.INVALID_SPAN
        span = self.real().start_span(name, context or span_context(scope), *args, **kwargs)
        if scope.run is not None and scope.run.generation_id is not None:
            span.set_attribute(names.GENERATION_ID, scope.run.generation_id)
        submission.calls(span, kwargs)
        return span

    @contextmanager
    def start_as_current_span(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        name: str,
        context: Any = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Generator[Span]:
        span = self.start_span(
            name, context, kind=kind, attributes=attributes, links=links, start_time=start_time
        )
        if span is trace.INVALID_SPAN:
            yield span  # the current span stays what it is
            return
        seen = ambient.current()
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            token = ambient.attach(visibility.at_work_in(seen, span))
            try:
                yield span
            finally:
                leave(token)
