"""What a host exports, to two places at once: a Jaeger, untouched, and a file of OTLP JSON lines.

The file is what the Collector's file exporter would write: a line a request, ids in hex, 64-bit
integers as text, enums as numbers.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.otlp_receiver import PATH, Behaviour, OtlpReceiver

_IDS = ("traceId", "spanId", "parentSpanId")


class Recorder(OtlpReceiver):
    """Forwards each request before it answers it, and keeps it for the file.

    Args:
        to: an OTLP/HTTP endpoint, without /v1/traces.
        file: the JSON lines.
    """

    def __init__(self, to: str, file: Path) -> None:
        self._to = httpx.Client(base_url=to, timeout=300, trust_env=False)
        self._file, self._bodies, self._adding = file, list[bytes](), threading.Lock()
        super().__init__()

    def receive(self, body: bytes) -> Behaviour:
        """Takes one export on to the other endpoint and into the file."""
        behaviour = super().receive(body)
        kind = {"Content-Type": "application/x-protobuf"}
        self._to.post(PATH, content=body, headers=kind).raise_for_status()
        with self._adding:
            self._bodies.append(body)
        return behaviour

    def close(self) -> None:
        """As :meth:`OtlpReceiver.close`; the file is written now, when nobody waits for us."""
        super().close()
        self._to.close()
        with self._file.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(as_collector_json(body)) + "\n" for body in self._bodies)


@contextmanager
def recorder(to: str, file: Path) -> Generator[Recorder]:
    """A recorder for the length of the block."""
    running = Recorder(to, file)
    try:
        yield running
    finally:
        running.close()


def as_collector_json(body: bytes) -> dict[str, Any]:
    """An export request in the JSON of the OTLP specification."""
    request = ExportTraceServiceRequest.FromString(body)
    found = MessageToDict(request, use_integers_for_enums=True)
    for of_resource in found.get("resourceSpans", []):
        for of_scope in of_resource.get("scopeSpans", []):
            for span in of_scope.get("spans", []):
                for holder in (span, *span.get("links", [])):
                    _with_hex(holder)
    return found


def _with_hex(holder: dict[str, Any]) -> None:
    for name in _IDS:
        if name in holder:
            holder[name] = base64.b64decode(holder[name]).hex()
