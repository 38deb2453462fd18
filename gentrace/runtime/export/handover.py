"""Hands our spans, scrubbed, to a tracer provider that the host set up itself."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from gentrace.core.scrub import Scrubber
from gentrace.runtime import notices
from gentrace.runtime.export.scrubbing import clean


class Handover(SpanProcessor):
    """Gives each ended span to the host's processors, as the host's resource's span.

    Source: ``TracerProvider._active_span_processor``, opentelemetry-sdk 1.20 to 1.45.
    """

    def __init__(self, host: TracerProvider, scrubber: Scrubber) -> None:
        self._host, self._scrubber = host, scrubber

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """The host's processors see our spans when they end."""

    def on_end(self, span: Any) -> None:
        try:
            for cleaned in clean([span], self._host.resource, self._scrubber):
                self._host._active_span_processor.on_end(cleaned)
        except Exception as exc:
            notices.swallowed("handover", exc)

    def shutdown(self) -> None:
        """The host shuts its own provider down."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """The host flushes its own provider."""
        return True


def provider_beside(host: TracerProvider, scrubber: Scrubber) -> TracerProvider:
    """A provider that samples and numbers as the host's does, and hands its spans over."""
    beside = TracerProvider(
        sampler=host.sampler,
        resource=host.resource,
        id_generator=host.id_generator,
        shutdown_on_exit=False,
    )
    beside.add_span_processor(Handover(host, scrubber))
    return beside
