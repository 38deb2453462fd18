"""Hands our spans, scrubbed, to a tracer provider that the host set up itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from gentrace.core.scrub import Scrubber
from gentrace.runtime import notices
from gentrace.runtime.export.scrubbing import clean


class Handover(SpanProcessor):
    """Gives each ended span to the host's processors, as the host's resource's span.

    Args:
        after: told of each span that the host's processors have.

    Source: ``TracerProvider._active_span_processor``, opentelemetry-sdk 1.20 to 1.45.
    """

    def __init__(
        self,
        host: TracerProvider,
        scrubber: Scrubber,
        after: Callable[[list[Any]], None] = lambda _spans: None,
    ) -> None:
        self.host, self._scrubber, self._after = host, scrubber, after
        self._unflushed = False

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """The host's processors see our spans when they end."""

    def on_end(self, span: Any) -> None:
        self.hand(span)

    def hand(self, span: Any) -> bool:
        """Give it to the host's processors; whether they took it."""
        try:
            for cleaned in clean([span], self.host.resource, self._scrubber):
                self._give(cleaned)
                self._unflushed = True
            self._after([span])
        except Exception as exc:
            notices.swallowed("handover", exc)
            return False
        return True

    def _give(self, span: Any) -> None:
        """Our own threads suppress instrumentation; a processor (logfire's) drops what ends so."""
        if is_instrumentation_enabled():
            self.host._active_span_processor.on_end(span)
            return
        token = otel_context.attach(otel_context.Context())
        try:
            self.host._active_span_processor.on_end(span)
        finally:
            otel_context.detach(token)

    def shutdown(self) -> None:
        """The host shuts its own provider down."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the host's provider, which may hold what it got from us; not longer than told.

        uvicorn ends by the signal that stopped it, so the host's own flush at exit never comes.
        The SDK's batch processor ignores its time-out, so it is waited for on another thread.
        """
        if not self._unflushed:
            return True
        self._unflushed = False
        thread = threading.Thread(
            target=self._flush, args=(timeout_millis,), name="gentrace-handover", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # an interpreter that is ending gives no threads (Python 3.12)
            return False
        thread.join(timeout_millis / 1000)
        return not thread.is_alive()

    def _flush(self, timeout_millis: int) -> None:
        try:
            self.host.force_flush(timeout_millis)
        except Exception as exc:
            notices.swallowed("handover", exc)
