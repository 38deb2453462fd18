"""Where a batch goes: to the OTLP endpoint, else to the spool, else it is counted as lost.

Called on the pipeline's own thread, and by an exit for what the endpoint has not taken by then.
Each kind of failure is said once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace.export import SpanExportResult

from gentrace.core.scrub import Scrubber
from gentrace.core.settings import Settings
from gentrace.runtime import notices
from gentrace.runtime.export import quiet
from gentrace.runtime.export.scrubbing import clean
from gentrace.runtime.export.spool import Spool
from gentrace.runtime.process import Process

_LONGEST_REST_S = 30.0


class Outlet:
    """Sends or spools batches, and keeps count.

    Args:
        make: gives the OTLP exporter, or None when spans go to the spool; called when first
            needed, on our own thread.

    Attributes:
        lost: spans that neither the endpoint nor the spool took.
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
        self.exporter: Any | None = None
        self.lost = 0
        self._scrubber, self._make = scrubber, make
        self._rest_until = 0.0
        self._counting = threading.Lock()

    # -- batches ---------------------------------------------------------------------------
    def write(self, batch: list[Any], taken_over: Callable[[], bool]) -> bool | None:
        """Send the batch, or spool it; ``taken_over``: an exit has seen to it meanwhile.

        Returns:
            Whether either took it; None where the exit knows.
        """
        if self._no_exporter() or time.monotonic() < self._rest_until:
            return self.to_spool(batch)
        exporter, begun = self.exporter, time.monotonic()
        assert exporter is not None
        spans = self._clean(batch)
        try:
            taken = exporter.export(spans) is SpanExportResult.SUCCESS
            why = "" if taken else self.trouble() or "it did not take them"
        except Exception as exc:
            taken, why = False, type(exc).__name__
        if taken:
            self._count_rejected(getattr(exporter, "rejected", 0))
            return True
        # Leave it alone for twice as long as it took to fail: meanwhile spans pile up.
        now = time.monotonic()
        self._rest_until = now + min(_LONGEST_REST_S, 2 * (now - begun))
        return None if taken_over() else self.instead(batch, why)

    def _clean(self, batch: list[Any]) -> list[Any]:
        process = self.process
        return clean(batch, process.resource(), self._scrubber, process.runs_resource())

    def _no_exporter(self) -> bool:
        """There is no endpoint, or no exporter can be made for it (said once)."""
        if self.exporter is None and self.settings.endpoint and not self._rest_until:
            try:
                self.exporter = self._make(self.settings)
            except Exception as exc:
                self._rest_until = float("inf")
                self._say_unsent(f"its exporter cannot be made: {type(exc).__name__}")
        return self.exporter is None

    def trouble(self) -> str:
        """What the endpoint did to the batch under way so far, while the exporter tries again."""
        return getattr(self.exporter, "why", "")

    def instead(self, batch: list[Any], why: str) -> bool:
        """The spool takes what the endpoint did not; said once, if there is a reason to say."""
        if self.settings.endpoint and why:
            self._say_unsent(why)
        return self.to_spool(batch)

    def to_spool(self, batch: list[Any]) -> bool:
        """Write the batch to the spool, or count it as lost; whether it was written."""
        try:
            self.spool.write_spans(self._clean(batch))
        except OSError as exc:
            self.count_lost(len(batch))
            self._say_unwritable(exc)
            return False
        return True

    def write_record(self, record: dict[str, Any]) -> None:
        """Write the process's record to the spool."""
        try:
            self.spool.write_process(record)
        except OSError as exc:
            self._say_unwritable(exc)

    def count_lost(self, spans: int) -> None:
        """So many spans are nowhere."""
        with self._counting:
            self.lost += spans

    def _count_rejected(self, spans: int) -> None:
        if spans:
            self.count_lost(spans)
            notices.say_once(
                "rejected",
                f"{self.settings.shown_endpoint} rejected {spans} of the spans sent to it; "
                "such spans are lost",
            )

    def _say_unsent(self, why: str) -> None:
        notices.say_once(
            "export failed",
            f"spans could not be sent to {self.settings.shown_endpoint} ({why}); "
            f"they go to the spool {self.spool.folder} instead",
        )

    def _say_unwritable(self, exc: OSError) -> None:
        what = "spans are lost"
        notices.say_once(
            "spool",
            f"the spool {self.spool.folder} cannot be written ({exc.strerror or exc}); {what}. "
            "Set GENTRACE_SPOOL to a writable folder, or OTEL_EXPORTER_OTLP_ENDPOINT",
        )

    # -- the end ---------------------------------------------------------------------------
    def close_exporter(self, deadline: float, stuck: bool) -> None:
        """Shut the exporter down, which ends its waiting, too; until the deadline at most."""
        if self.exporter is None:
            return
        closing = threading.Thread(
            target=self._shutdown_exporter, name="gentrace-exporter-shutdown", daemon=True
        )
        try:
            closing.start()
        except RuntimeError:  # an interpreter that is ending gives no threads (Python 3.12)
            if not stuck:
                self._shutdown_exporter()
            return
        closing.join(max(0.0, deadline - time.monotonic()))

    def _shutdown_exporter(self) -> None:
        try:
            if self.exporter is not None:
                self.exporter.shutdown()
        except Exception as exc:
            notices.swallowed("export shutdown", exc)

    def after_fork(self, instance: str) -> None:
        """In a forked child: an exporter and a segment of its own, nothing lost yet."""
        self._counting = threading.Lock()
        self.exporter, self.lost, self._rest_until = None, 0, 0.0
        spool = self.spool
        self.spool = Spool(spool.folder, spool.max_bytes, spool.max_age_s, instance)


def make_exporter(settings: Settings) -> Any | None:
    """The OTLP exporter that the standard variables ask for, or None for the spool.

    The exporters read endpoint, headers and certificates themselves.
    """
    if not settings.endpoint:
        return None
    if settings.protocol == "grpc":
        from gentrace.runtime.export.otlp_grpc import GrpcExporter as Exporter
    else:
        from gentrace.runtime.export.otlp_http import HttpExporter as Exporter
    quiet.quieten()
    exporter = Exporter(settings)
    quiet.quieten()  # what it has imported has made loggers, too
    return exporter
