"""Batches ended spans off the host's threads, and sees them out when the process ends.

Our own processor rather than the SDK's batch processor, for three things that it does not do:
spans wait until the process's role (so its service name) is known, an exit keeps its deadline
whatever the endpoint does, and what could not be sent goes to the spool or is counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor

from gentrace.core import names
from gentrace.core.scrub import Scrubber
from gentrace.core.settings import Settings
from gentrace.runtime import notices
from gentrace.runtime.export import quiet
from gentrace.runtime.export.outlet import Outlet
from gentrace.runtime.export.spool import Spool
from gentrace.runtime.process import Process

EXIT_DEADLINE_S = 3.0
HOLD_S = 10.0
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
        self.settings, self.process = settings, process
        self.outlet = Outlet(settings, process, spool, scrubber, make)
        self._queue: deque[Any] = deque()
        self._in_flight: list[Any] = []
        self._given_up: list[Any] | None = None
        self._wake = threading.Condition()
        self._flush = False
        self._stop = False
        self._records: list[dict[str, Any]] = []
        self._thread: threading.Thread | None = None
        self._done: dict[int, Callable[[bool], None]] = {}
        self.before: Callable[[list[Any]], None] = lambda _batch: None
        self.after: Callable[[list[Any]], None] = lambda _batch: None

    @property
    def lost(self) -> int:
        """Spans that are nowhere: dropped, or taken by neither the endpoint nor the spool."""
        return self.outlet.lost

    @property
    def exporter(self) -> Any | None:
        """The OTLP exporter; None for the spool, and before it is needed."""
        return self.outlet.exporter

    @exporter.setter
    def exporter(self, exporter: Any | None) -> None:
        self.outlet.exporter = exporter

    def put(self, span: Any, done: Callable[[bool], None] | None = None) -> None:
        """Queue a span that was made whole; ``done`` learns whether endpoint or spool took it."""
        if done is not None:
            self._done[id(span)] = done
        queued = self._queued(span)
        if not queued:
            self._tell([span], False)

    def _tell(self, batch: list[Any], taken: bool) -> None:
        """Tell who waits for it what became of a batch; nobody waits for most of them."""
        try:
            self.after(batch)
        except Exception as exc:
            notices.swallowed("export", exc)
        for span in batch if self._done else ():
            done = self._done.pop(id(span), None)
            if done is not None:
                done(taken)

    # -- SpanProcessor ---------------------------------------------------------------------
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing to do: attributes are set by who starts the span."""

    def on_end(self, span: Any) -> None:
        """Queue an ended span; never blocks on the exporter and never raises."""
        if span.context.trace_flags.sampled and not self._queued(span):
            self._tell([span], False)

    def _queued(self, span: Any) -> bool:
        try:
            return self._enqueue(span)
        except Exception as exc:
            self.outlet.count_lost(1)
            notices.swallowed("export", exc)
            return False

    def _enqueue(self, span: Any) -> bool:
        with self._wake:
            if self._stop or len(self._queue) >= self.settings.max_queue:
                self.outlet.count_lost(1)
                if not self._stop:
                    notices.say_once("lost", "spans are dropped: they end faster than they leave")
                return False
            self._queue.append(span)
            if len(self._queue) in (1, self.settings.max_batch):
                self._ensure_thread()
                self._wake.notify_all()
            return True

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
        if all(span.name == names.STARTUP for span in left):
            why = ""  # a process that ends before it did anything has lost nobody's spans
        else:
            why = self.outlet.trouble() or f"no answer within {timeout_s:g} s"
        if left:
            self._tell(left, self.outlet.instead(left, why))

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
            self._tell(left, self.outlet.to_spool(left))
        for record in records:
            self.outlet.write_record(record)
        if stuck:
            deadline = min(deadline, time.monotonic() + _STUCK_SHARE_S)
        self.outlet.close_exporter(deadline, stuck)  # ends the exporter's waiting, too
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self.lost:
            notices.say_once("lost at exit", f"{self.lost} spans could not be written")
        self.outlet.spool.close()
        if thread is None or not thread.is_alive():
            quiet.undo()

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
        self._done.clear()
        self.outlet.after_fork(instance)

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
                self.outlet.write_record(record)
            if batch:
                self.before(batch)
                over = batch is self._given_up  # an exit has seen to it meanwhile
                taken = None if over else self.outlet.write(batch, lambda: batch is self._given_up)
                if taken is not None:
                    self._tell(batch, taken)
        except Exception as exc:
            self.outlet.count_lost(len(batch))
            self._tell(batch, False)
            for span in batch:  # whoever waits tries again
                self._done.pop(id(span), None)
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
        known = self.process.named or self._flush or self._stop
        return self._stop or bool(self._records) or (known and bool(self._queue))

    def role_known(self) -> None:
        """The process has its role: what was held may go."""
        with self._wake:
            self._wake.notify_all()

    def _take(self) -> list[Any]:
        count = min(len(self._queue), self.settings.max_batch)
        return [self._queue.popleft() for _ in range(count)]
