"""OTLP over HTTP: OpenTelemetry's exporter, and a look at what the endpoint answers.

The exporter takes any answer from 200 to 399 for a success: a redirect, a login page, spans that
were rejected. It reads an answer that never ends for ever. Here each of these is a failure.

Source: opentelemetry-exporter-otlp-proto-http 1.45, which takes a ``requests`` session.
"""

from __future__ import annotations

import json
import os
import time
from http import HTTPStatus
from typing import Any

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult
from requests.adapters import HTTPAdapter

from gentrace.core.settings import Settings

_MAX_ANSWER_BYTES = 64 * 1024
_OWN_SESSION = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
)


class NoAnswer(requests.exceptions.RequestException):
    """What came back is no answer to an export; the exporter does not try again."""


class HttpExporter:
    """Sends spans; ``why`` says what became of a batch that was not taken, ``rejected`` how many
    spans of a batch that was taken the endpoint did not want."""

    def __init__(self, settings: Settings) -> None:
        self._answers = Answers(settings.export_timeout_s)
        session: requests.Session | None = None
        if not any(os.environ.get(name) for name in _OWN_SESSION):
            session = requests.Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, self._answers)
        self._exporter = OTLPSpanExporter(session=session, timeout=settings.export_timeout_s)

    @property
    def why(self) -> str:
        return self._answers.why

    @property
    def rejected(self) -> int:
        return self._answers.rejected

    def export(self, spans: Any) -> SpanExportResult:
        """Send a batch; blocks for the time-out at most twice."""
        self._answers.why, self._answers.rejected = "", 0
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        """End a waiting for the next try, and close the connections."""
        self._exporter.shutdown()


class Answers(HTTPAdapter):
    """Reads each answer within a time and a size, and remembers what it said."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self.timeout_s, self.why, self.rejected = timeout_s, "", 0

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        deadline = time.monotonic() + self.timeout_s
        try:
            response = super().send(request, *args, **kwargs)
            self._look(response, deadline)
        except Exception as exc:
            self.why = str(exc) if isinstance(exc, NoAnswer) else cause(exc)
            raise
        return response

    def _look(self, response: requests.Response, deadline: float) -> None:
        code = response.status_code
        if not 200 <= code < 300:
            self.why = _status(code)
            response._content = b""
            response.close()
            if code < 400:
                raise NoAnswer(self.why)
            return
        body = bytearray()
        for byte in response.iter_content(1):
            body += byte
            if len(body) > _MAX_ANSWER_BYTES or time.monotonic() > deadline:
                response.close()
                raise NoAnswer("its answer does not end")
        response._content = bytes(body)
        self.rejected = rejected(response.headers.get("content-type", ""), bytes(body))


def rejected(content_type: str, body: bytes) -> int:
    """How many spans the endpoint did not want, by its answer.

    Raises:
        NoAnswer: it is a page for people, or says that it is OTLP and is not.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if not body:
            return 0
        if kind == "text/html":
            raise NoAnswer("it answers with a web page")
        if kind in ("", "application/x-protobuf"):
            answer = ExportTraceServiceResponse.FromString(body)
            return max(0, answer.partial_success.rejected_spans)
        if kind == "application/json":
            partial = (json.loads(body) or {}).get("partialSuccess") or {}
            return max(0, int(partial.get("rejectedSpans") or 0))
    except (DecodeError, ValueError, TypeError, AttributeError, RecursionError):
        raise NoAnswer("its answer is not OTLP") from None
    return 0


def cause(exc: BaseException) -> str:
    """What began a chain of exceptions: the operating system's words, else the type's name."""
    found, first, link = "", exc, exc
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            found = link.strerror
        elif isinstance(link, TimeoutError):
            found = "no answer in time"
        elif type(link) is OSError:
            found = str(link)
        first, link = link, link.__cause__ or link.__context__
    return found or type(first).__name__


def _status(code: int) -> str:
    """The code and the standard's words for it, not the endpoint's."""
    try:
        return f"HTTP {code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"HTTP {code}"
