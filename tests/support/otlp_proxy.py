"""A proxy in front of an OTLP/HTTP endpoint: it remembers what was answered with success."""

from __future__ import annotations

import gzip
import http.client
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.otlp_receiver import HOST, Span, spans_of

TIMEOUT_S = 30


class OtlpProxy:
    """Passes every request on, and the answer back; without an answer it closes the connection."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.unanswered = 0
        """Requests that the endpoint did not take."""
        self._answered: list[Span] = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, kind, answer = proxy.pass_on(self.path, dict(self.headers), body)
                if not status:
                    self.close_connection = True
                    return
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(answer)))
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(answer)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: a test's output is its own."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def answered(self) -> list[Span]:
        """The spans so far whose request was answered with success."""
        with self._lock:
            return list(self._answered)

    def pass_on(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """The endpoint's status, content type and answer; status 0 where there is none."""
        kept = {k: v for k, v in headers.items() if k.lower().startswith("content-")}
        connection = http.client.HTTPConnection(self.target, timeout=TIMEOUT_S)
        try:
            connection.request("POST", path, body, kept)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            with self._lock:
                self.unanswered += 1
            return 0, "", b""
        finally:
            connection.close()
        with self._lock:
            if 200 <= response.status < 300:
                plain = gzip.decompress(body) if "gzip" in headers.values() else body
                self._answered += spans_of(ExportTraceServiceRequest.FromString(plain))
            else:
                self.unanswered += 1
        return response.status, response.headers.get("Content-Type", ""), answer

    def close(self) -> None:
        """Wait for the requests under way and leave nothing behind."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def proxy(target: str) -> Generator[OtlpProxy]:
    """A proxy for the length of the block."""
    running = OtlpProxy(target)
    try:
        yield running
    finally:
        running.close()
