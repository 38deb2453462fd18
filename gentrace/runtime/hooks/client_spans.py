"""The tracer that instrumentations of HTTP clients get from us: it marks the requests it is for.

So the headers of a request that another tracer was asked about, the host's, are left to the host.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from gentrace.runtime import visibility
from gentrace.runtime.context import leave
from gentrace.runtime.tracing import GatedTracer, GatedTracerProvider

ASKING = otel_context.create_key("gentrace.client")


@dataclass(frozen=True, eq=False, slots=True)
class Asking:
    """A request that our instrumentation was asked about.

    Attributes:
        own: its span, or one that records nothing; None where the current one is it for certain.
        seen: the current span right inside of it.
    """

    own: Span | None = None
    seen: Span | None = None

    @property
    def span(self) -> Span:
        """Its span."""
        return self.own or trace.get_current_span()

    def is_innermost(self) -> bool:
        """Whether no instrumentation of the host's has begun a span since."""
        return self.own is None or trace.get_current_span() is self.seen


@contextmanager
def asking(request: Asking) -> Generator[None]:
    """Mark what runs in here as a request of our instrumentation's."""
    token = otel_context.attach(otel_context.set_value(ASKING, request))
    try:
        yield
    finally:
        leave(token)


class ClientTracerProvider(GatedTracerProvider):
    """What instrumentations of HTTP clients are given."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return ClientTracer(self._tracing, args, kwargs, self._decide)


class ClientTracer(GatedTracer):
    """A gated tracer whose requests are told from the host's."""

    def _start(self, name: str, context: Any, *args: Any, **kwargs: Any) -> Span:
        if self._is_traced():
            return trace.INVALID_SPAN
        return super()._start(name, context, *args, **kwargs)

    def _is_traced(self) -> bool:
        """Whether the host's instrumentation of this client has made the request's span already.

        In a provider that is not ours it has: there the request needs one of ours as well.
        """
        seen: Any = trace.get_current_span()
        if not visibility.is_shared() or getattr(seen, "kind", None) is not SpanKind.CLIENT:
            return False
        return getattr(seen.instrumentation_scope, "name", None) == self._args[0]

    @contextmanager
    def start_as_current_span(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *args: Any, **kwargs: Any
    ) -> Generator[Span]:
        with (
            super().start_as_current_span(*args, **kwargs) as span,
            asking(Asking(span, trace.get_current_span())),
        ):
            yield span
