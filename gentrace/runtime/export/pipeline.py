"""Batches ended spans off the host's threads, and sees them out when the process ends.

Our own processor rather than the SDK's batch processor, for three things that it does not do:
spans wait until the process's role (so its service name) is known, an exit keeps its deadline
whatever the endpoint does, and what could not be sent goes to the spool or is counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from gentrace.core.scrub import Scrubber
from gentrace.core.settings import Settings
from gentrace.runtime import notices
from gentrace.runtime.export.scrubbing import clean
from gentrace.runtime.export.spool import Spool
from gentrace.runtime.process import Process

EXIT_DEADLINE_S = 3.0
HOLD_S = 10.0
OUR_THREADS = frozenset({"gentrace-export", "gentrace-exporter-shutdown"})
_NOISY = ("opentelemetry.exporter", "urllib3", "grpc")
SEND_SHARE_S = 1.5
_STUCK_SHARE_S = 0.3


class Pipeline(SpanProcessor):
    """Takes ended spans, hands them to the exporter in batches, and the rest to the spool.

    Args:
        make: gives the OTLP exporter, or None when spans go to the spool; called when first
            needed, on our own thread.
    """

    def __init__(
        self,
        settings: Settings,
        process: Process,
        spool: Spool,
        scrubber: Scrubber,
        make: Callable[[Settings], Any | None],
    ) -> None:
        self.settings, self.process, self.spool = settings, process, spool
        self.scrubber, self._make = scrubber, make
        self.exporter: Any | None = None
        self.lost = 0
        self._queue: deque[Any] = deque()
        self._in_flight: list[Any] = []
        self._given_up: list[Any] | None = None
        self._wake = threading.Condition()
        self._flush = False
        self._stop = False
        self._records: list[dict[str, Any]] = []
        self._thread: threading.Thread | None = None

    # -- SpanProcessor ---------------------------------------------------------------------
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing to do: attributes are set by who starts the span."""

    def on_end(self, span: Any) -> None:
        """Queue an ended span; never blocks on the exporter and never raises."""
        if not span.context.trace_flags.sampled:
            return
        try:
            self._enqueue(span)
        except Exception as exc:
            self.lost += 1
            notices.swallowed("export", exc)

    def _enqueue(self, span: Any) -> None:
        with self._wake:
            if self._stop or len(self._queue) >= self.settings.max_queue:
                self.lost += 1
                if not self._stop:
                    notices.say_once("lost", "spans are dropped: they end faster than they leave")
                return
            self._queue.append(span)
            if len(self._queue) in (1, self.settings.max_batch):
                self._ensure_thread()
                self._wake.notify_all()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until what has ended is out, or the time is over."""
        deadline = time.monotonic() + timeout_millis / 1000
        with self._wake:
            if self._thread is None or not self._outstanding():
                return True
            self._flush = True
            self._wake.notify_all()
            while self._outstanding() and self._thread.is_alive():
                left = deadline - time.monotonic()
                if left <= 0 or self._stuck():
                    return False
                self._wake.wait(left)
        return True

    def see_out(self, timeout_s: float) -> None:
        """Wait as :meth:`force_flush`; what the endpoint has not taken then goes to the spool.

        The host may end without another word, so this leaves nothing behind. It goes on as
        before where the host goes on.
        """
        if self.force_flush(int(timeout_s * 1000)):
            return
        with self._wake:
            left = self._give_up()
        if left:
            self._instead(left, f"no answer within {timeout_s:g} s")

    def shutdown(self) -> None:
        """See out what is left within :data:`EXIT_DEADLINE_S`, then stop the thread.

        What the endpoint has not taken by then goes to the spool; what the spool does not take
        is counted and said.
        """
        deadline = time.monotonic() + EXIT_DEADLINE_S
        self.see_out(SEND_SHARE_S)
        with self._wake:
            self._stop = True
            left = self._give_up()
            records, self._records = self._records, []
            stuck, thread = self._stuck(), self._thread
            self._wake.notify_all()
        if left:  # ended meanwhile
            self._to_spool(left)
        for record in records:
            self._guarded_record(record)
        if stuck:
            deadline = min(deadline, time.monotonic() + _STUCK_SHARE_S)
        self._close_exporter(deadline)  # ends the exporter's waiting, too
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self.lost:
            notices.say_once("lost at exit", f"{self.lost} spans could not be written")
        self.spool.close()

    def _outstanding(self) -> bool:
        """Something has ended and is neither out nor given up."""
        waiting = bool(self._queue) or bool(self._records)
        return waiting or (bool(self._in_flight) and not self._stuck())

    def _stuck(self) -> bool:
        """The exporter is at work on a batch that was given up already."""
        return self._given_up is not None and self._in_flight is self._given_up

    def _give_up(self) -> list[Any]:
        """What is not out yet, taken from the exporter."""
        left = [*(() if self._stuck() else self._in_flight), *self._queue]
        self._queue.clear()
        if self._in_flight:
            self._given_up = self._in_flight
        return left

    # -- the thread ------------------------------------------------------------------------
    def write_record(self, record: dict[str, Any]) -> None:
        """Put the process's record into the spool, from our own thread."""
        with self._wake:
            self._records.append(record)
            self._ensure_thread()
            self._wake.notify_all()

    def after_fork(self, instance: str) -> None:
        """In a forked child: nothing queued, no thread, a segment of its own."""
        self._wake = threading.Condition()
        self._queue.clear()
        self._in_flight, self._records, self._thread = [], [], None
        self._given_up = None
        self.exporter, self.lost = None, 0
        spool = self.spool
        self.spool = Spool(spool.folder, spool.max_bytes, spool.max_age_s, instance)

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="gentrace-export", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        from opentelemetry import context as otel_context
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        otel_context.attach(otel_context.Context())
        with suppress_instrumentation():
            while self._step():
                pass

    def _step(self) -> bool:
        with self._wake:
            self._wake.wait_for(self._has_work, HOLD_S if self._queue else None)
            if not self._urgent():
                self._wake.wait_for(self._urgent, self.settings.schedule_delay_ms / 1000)
            batch = self._take()
            records, self._records = self._records, []
            self._in_flight = batch
            stopping = self._stop
        try:
            for record in records:
                self._guarded_record(record)
            if batch:
                self._export(batch)
        except Exception as exc:
            self.lost += len(batch)
            notices.swallowed("export", exc)
        with self._wake:
            self._in_flight = []
            if not self._queue:
                self._flush = False
            self._wake.notify_all()
        return not (stopping and not self._queue)

    def _urgent(self) -> bool:
        return self._stop or self._flush or len(self._queue) >= self.settings.max_batch

    def _has_work(self) -> bool:
        """Spans of a process whose role is not known yet are held, unless it ends."""
        known = bool(self.process.role) or self._flush or self._stop
        return self._stop or bool(self._records) or (known and bool(self._queue))

    def role_known(self) -> None:
        """The process has its role: what was held may go."""
        with self._wake:
            self._wake.notify_all()

    def _take(self) -> list[Any]:
        count = min(len(self._queue), self.settings.max_batch)
        return [self._queue.popleft() for _ in range(count)]

    def _export(self, batch: list[Any]) -> None:
        if self.exporter is None and self.settings.endpoint:
            self.exporter = self._make(self.settings)
            _quiet_exporters()
        if self.exporter is None:
            self._to_spool(batch)
            return
        spans = clean(batch, self.process.resource(), self.scrubber)
        try:
            result = self.exporter.export(spans)
            why = "it did not take them"
        except Exception as exc:
            result, why = SpanExportResult.FAILURE, type(exc).__name__
        if result is not SpanExportResult.SUCCESS and batch is not self._given_up:
            self._instead(batch, why)

    def _instead(self, batch: list[Any], why: str) -> None:
        """The spool takes what the endpoint did not; said once."""
        if self.settings.endpoint:
            notices.say_once(
                "export failed",
                f"spans could not be sent to {self.settings.endpoint} ({why}); "
                f"they go to the spool {self.spool.folder} instead",
            )
        self._to_spool(batch)

    def _to_spool(self, batch: list[Any]) -> None:
        try:
            self.spool.write_spans(clean(batch, self.process.resource(), self.scrubber))
        except OSError as exc:
            self.lost += len(batch)
            self._say_unwritable(exc)

    def _guarded_record(self, record: dict[str, Any]) -> None:
        try:
            self.spool.write_process(record)
        except OSError as exc:
            self._say_unwritable(exc)

    def _say_unwritable(self, exc: OSError) -> None:
        what = "spans are lost" if not self.settings.endpoint else "its record is lost"
        notices.say_once(
            "spool",
            f"the spool {self.spool.folder} cannot be written ({exc.strerror or exc}); {what}. "
            "Set GENTRACE_SPOOL to a writable folder, or OTEL_EXPORTER_OTLP_ENDPOINT",
        )

    def _close_exporter(self, deadline: float) -> None:
        if self.exporter is None:
            return
        closing = threading.Thread(
            target=self._shutdown_exporter, name="gentrace-exporter-shutdown", daemon=True
        )
        try:
            closing.start()
        except RuntimeError:  # an interpreter that is ending gives no threads (Python 3.12)
            if not self._stuck():
                self._shutdown_exporter()
            return
        closing.join(max(0.0, deadline - time.monotonic()))

    def _shutdown_exporter(self) -> None:
        try:
            if self.exporter is not None:
                self.exporter.shutdown()
        except Exception as exc:
            notices.swallowed("export shutdown", exc)


class _OursIsSaidOnce(logging.Filter):
    """Drops what the exporter says on our thread: its failures are said once, by us."""

    def filter(self, record: logging.LogRecord) -> bool:
        return threading.current_thread().name not in OUR_THREADS


_filter = _OursIsSaidOnce()


def _quiet_exporters() -> None:
    """Filter every logger that an exporter made or uses; adding a filter again changes nothing."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith(_NOISY) and isinstance(logger, logging.Logger):
            logger.addFilter(_filter)


def make_exporter(settings: Settings) -> Any | None:
    """The OTLP exporter that the standard variables ask for, or None for the spool.

    The exporters read endpoint, headers, certificates, compression and time-out themselves.
    """
    if not settings.endpoint:
        return None
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
            OTLPSpanExporter as GrpcExporter,
        )

        return GrpcExporter()
    if settings.protocol != "http/protobuf":
        notices.say_once(
            "protocol",
            f"OTEL_EXPORTER_OTLP_PROTOCOL={settings.protocol} is not known here; "
            "http/protobuf is used (or set grpc)",
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
