"""An OTLP trace receiver for tests: HTTP/protobuf and gRPC, every span kept as a plain dict.

In the test's own process it is a context manager, `receiver()`; under load it runs as a program,
so that it shares no process with what is measured, and `read_spans(FILE)` reads what it wrote:

    python -m tests.support.otlp_receiver --http-port 0 --grpc-port 0 --out FILE.jsonl

The program prints one JSON line with its ports when it is ready. On request it misbehaves: it
refuses, hangs until it is closed, or answers what is not OTLP.
"""

from __future__ import annotations

import argparse
import gzip
import json
import signal
import socket
import threading
import zlib
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any, Literal, TypedDict, cast, get_args

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from gentrace.core.names import STARTUP
from tests.support.waiting import PATIENCE_S

HOST = "127.0.0.1"
PATH = "/v1/traces"
EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"
ANSWER = ExportTraceServiceResponse().SerializeToString()
REJECTED = ExportTraceServiceResponse(
    partial_success=ExportTracePartialSuccess(rejected_spans=1, error_message="as was asked")
).SerializeToString()
NONSENSE = b"\xff\xff<html>this is not OTLP</html>"
GRPC_THREADS = 16

Attributes = dict[str, Any]
Behaviour = Literal["answer", "refuse", "hang", "nonsense", "reject"]
"""refuse: HTTP 500, gRPC UNAVAILABLE · hang: no answer until closed · reject: takes the batch but
for one span, and says so."""


class Span(TypedDict):
    """One span as received: ids in hex, times in ns since 1970, enums by their short names."""

    resource: Attributes
    scope: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_span_id: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: list[dict[str, Any]]
    links: list[dict[str, Any]]
    status: dict[str, str]


def read_spans(path: Path) -> list[Span]:
    """The spans a receiver program has written so far; a line still being written is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


class OtlpReceiver:
    """Listens from construction to `close()` on two free or given loopback ports."""

    def __init__(self, http_port: int = 0, grpc_port: int = 0, out: Path | None = None) -> None:
        self.behaviour: Behaviour = "answer"
        self.requests = 0
        """Exports seen, the refused and the unanswered ones too."""
        self._spans: list[Span] = []
        self._changed = threading.Condition()
        self._let_go = threading.Event()
        self._out: IO[str] | None = out.open("a", encoding="utf-8") if out else None
        self._http = _HttpServer(self, http_port)
        self.http_port: int = self._http.server_address[1]
        self._grpc_threads = ThreadPoolExecutor(GRPC_THREADS)
        self._grpc, self.grpc_port = _grpc_server(self, grpc_port, self._grpc_threads)
        self._http_thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._http_thread.start()

    @property
    def http_endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with http/protobuf: without /v1/traces."""
        return f"http://{HOST}:{self.http_port}"

    @property
    def grpc_endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with grpc."""
        return f"http://{HOST}:{self.grpc_port}"

    def spans(self) -> list[Span]:
        """Every span so far but for :meth:`startups`, in order of arrival."""
        with self._changed:
            return self._of_runs()

    def _of_runs(self) -> list[Span]:
        return [span for span in self._spans if span["name"] != STARTUP]

    def startups(self) -> list[Span]:
        """What each process told of itself."""
        with self._changed:
            return [span for span in self._spans if span["name"] == STARTUP]

    def by_trace(self) -> dict[str, list[Span]]:
        """The spans of each trace id, by start time."""
        traces: dict[str, list[Span]] = {}
        for span in sorted(self.spans(), key=lambda span: span["start_ns"]):
            traces.setdefault(span["trace_id"], []).append(span)
        return traces

    def clear(self) -> None:
        """Forgets what came so far; for a receiver that several tests share."""
        with self._changed:
            self._spans.clear()
            self.requests = 0

    def wait_for(
        self, predicate: Callable[[list[Span]], bool], timeout: float = PATIENCE_S
    ) -> list[Span]:
        """Waits until the predicate holds for all spans so far; returns them, or TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self._of_runs()), timeout):
                names = [span["name"] for span in self._spans]
                raise TimeoutError(f"not within {timeout} s; {len(names)} spans: {names[-30:]}")
            return self._of_runs()

    @contextmanager
    def behaving(self, behaviour: Behaviour) -> Generator[None]:
        """Misbehaves for the length of the block; hanging requests are let go at its end."""
        self.behaviour = behaviour
        try:
            yield
        finally:
            with self._changed:
                self.behaviour = "answer"
                self._let_go.set()
                self._let_go = threading.Event()

    def receive(self, body: bytes) -> Behaviour:
        """Takes one export and says how to answer it; only an answered one is kept."""
        with self._changed:
            behaviour, let_go = self.behaviour, self._let_go
            self.requests += 1
        if behaviour in ("answer", "reject"):
            spans = list(spans_of(ExportTraceServiceRequest.FromString(body)))
            spans = spans[behaviour == "reject" :]
            with self._changed:
                self._spans += spans
                if self._out:
                    self._out.writelines(json.dumps(span) + "\n" for span in spans)
                    self._out.flush()
                self._changed.notify_all()
        elif behaviour == "hang":
            let_go.wait()
        return behaviour

    def close(self) -> None:
        """Lets hanging requests go and leaves no thread and no socket behind."""
        self._let_go.set()
        self._grpc.stop(grace=None).wait(5)
        self._grpc_threads.shutdown()
        self._http.close()
        self._http_thread.join(5)
        if self._out:
            self._out.close()


@contextmanager
def receiver(out: Path | None = None) -> Generator[OtlpReceiver]:
    """A receiver in this process, for the length of the block."""
    running = OtlpReceiver(out=out)
    try:
        yield running
    finally:
        running.close()


class _HttpServer(ThreadingHTTPServer):
    """Closes the connections that exporters keep alive, so that its threads end with it."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, owner: OtlpReceiver, port: int) -> None:
        self.owner = owner
        self.connections: set[socket.socket] = set()
        super().__init__((HOST, port), _HttpHandler)

    def close(self) -> None:
        self.shutdown()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _HttpHandler(BaseHTTPRequestHandler):
    """POST /v1/traces, plain or gzip."""

    protocol_version = "HTTP/1.1"
    server: _HttpServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != PATH:
            return self._answer(404, b"", "text/plain")
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            behaviour = self.server.owner.receive(body)
        except (DecodeError, OSError, EOFError, zlib.error) as error:
            return self._answer(400, str(error).encode(), "text/plain")
        if behaviour in ("answer", "reject"):
            return self._answer(200, ANSWER if behaviour == "answer" else REJECTED)
        if behaviour == "nonsense":
            return self._answer(200, NONSENSE, "text/html")
        if behaviour == "refuse":
            return self._answer(500, b"refused on request", "text/plain")
        self.close_connection = True
        return None

    def _answer(self, status: int, body: bytes, kind: str = "application/x-protobuf") -> None:
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's output is its own."""


def _grpc_server(owner: OtlpReceiver, port: int, threads: ThreadPoolExecutor) -> tuple[Any, int]:
    """Serves TraceService/Export on raw bytes, so that an answer may be any bytes at all."""

    def export(body: bytes, context: Any) -> bytes:
        behaviour = owner.receive(body)
        if behaviour in ("refuse", "hang"):
            context.abort(grpc.StatusCode.UNAVAILABLE, f"asked to {behaviour}")
        return {"nonsense": NONSENSE, "reject": REJECTED}.get(behaviour, ANSWER)

    server: Any = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
    methods = {"Export": cast("Any", grpc.unary_unary_rpc_method_handler(export))}
    handler = grpc.method_handlers_generic_handler(EXPORT, methods)
    server.add_generic_rpc_handlers((handler,))
    bound = server.add_insecure_port(f"{HOST}:{port}")
    server.start()
    return server, bound


def spans_of(request: ExportTraceServiceRequest) -> Generator[Span]:
    """One plain dict a span, each with its resource's attributes."""
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _span(span, resource, of_scope.scope.name)


def _span(span: trace_pb2.Span, resource: Attributes, scope: str) -> Span:
    code = trace_pb2.Status.StatusCode.Name(span.status.code)
    return {
        "resource": resource,
        "scope": scope,
        "name": span.name,
        "kind": trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "start_ns": span.start_time_unix_nano,
        "end_ns": span.end_time_unix_nano,
        "attributes": _attributes(span.attributes),
        "events": [_event(event) for event in span.events],
        "links": [_link(link) for link in span.links],
        "status": {"code": code.removeprefix("STATUS_CODE_"), "message": span.status.message},
    }


def _event(event: trace_pb2.Span.Event) -> dict[str, Any]:
    attributes = _attributes(event.attributes)
    return {"name": event.name, "time_ns": event.time_unix_nano, "attributes": attributes}


def _link(link: trace_pb2.Span.Link) -> dict[str, Any]:
    ids = {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()}
    return {**ids, "attributes": _attributes(link.attributes)}


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    """The Python value; bytes in hex, so that every span can be written as JSON."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(each) for each in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case field:
            return getattr(value, field)


def main() -> None:
    """Runs until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="otlp_receiver", description="An OTLP receiver for tests")
    parser.add_argument("--http-port", type=int, default=0, help="0: any free port")
    parser.add_argument("--grpc-port", type=int, default=0, help="0: any free port")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines, appended")
    parser.add_argument("--behave", choices=get_args(Behaviour), default="answer")
    options = parser.parse_args()
    over = threading.Event()

    def end(_number: int, _frame: object) -> None:
        over.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    running = OtlpReceiver(options.http_port, options.grpc_port, options.out)
    running.behaviour = options.behave
    print(json.dumps({"http": running.http_port, "grpc": running.grpc_port}), flush=True)
    while not over.wait(0.5):
        pass
    running.close()


if __name__ == "__main__":
    main()
