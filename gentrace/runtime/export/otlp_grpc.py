"""OTLP over gRPC: OpenTelemetry's exporter, and a look at what the endpoint answers.

The exporter drops the answer, in which an endpoint says how many spans it did not want.

Source: opentelemetry-exporter-otlp-proto-grpc 1.45, ``_initialize_channel_and_stub``.
"""

from __future__ import annotations

from typing import Any

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult

from gentrace.core.settings import Settings


class GrpcExporter(OTLPSpanExporter):
    """Sends spans; ``why`` and ``rejected`` as :class:`.otlp_http.HttpExporter` has them."""

    def __init__(self, settings: Settings) -> None:
        self.why, self.rejected = "", 0
        gzip = settings.compression == "gzip"
        super().__init__(
            timeout=settings.export_timeout_s,
            compression=grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression,
        )

    def export(self, spans: Any) -> SpanExportResult:
        """Send a batch; blocks for the time-out at most."""
        self.why, self.rejected = "", 0
        return super().export(spans)

    def _initialize_channel_and_stub(self) -> None:
        super()._initialize_channel_and_stub()
        self._client: Any = _Watched(self, self._client)


class _Watched:
    """Stands for the stub: hands on the call, and tells the exporter what came of it."""

    def __init__(self, owner: GrpcExporter, stub: Any) -> None:
        self._owner, self._stub = owner, stub

    def Export(self, **given: Any) -> Any:
        try:
            answer = self._stub.Export(**given)
        except grpc.RpcError as exc:
            call: Any = exc  # what a stub raises is the call, too
            self._owner.why = f"gRPC {call.code().name}"
            raise
        self._owner.rejected = max(0, answer.partial_success.rejected_spans)
        return answer
