"""The server: takes every protocol, each by its paths, and writes a line for each span.

python -m bench.receivers --port PORT --out FILE.jsonl
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import threading
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

from bench.receivers import datadog, otlp, sentry
from bench.receivers.arrived import Arrived, NotUnderstood

HOST = "127.0.0.1"
Decode = Callable[[str, bytes], Iterable[Arrived]]
DECODERS: dict[str, Decode] = {
    path: protocol.spans for protocol in (otlp, sentry, datadog) for path in protocol.PATHS
}
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


class Server(ThreadingHTTPServer):
    """Keeps what came in the order of arrival."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, out: IO[str]) -> None:
        self._out, self._lock = out, threading.Lock()
        super().__init__((HOST, port), _Handler)

    def keep(self, spans: list[Arrived]) -> None:
        with self._lock:
            self._out.writelines(json.dumps(span) + "\n" for span in spans)
            self._out.flush()


class _Handler(BaseHTTPRequestHandler):
    """Answers 400 to what is not understood, and {} to all that is not a trace."""

    protocol_version = "HTTP/1.1"
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self._answer(200, datadog.WHAT_IT_TAKES if path == datadog.INFO else {})

    def do_POST(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        decode = DECODERS.get(path)
        try:
            if decode is not None:
                unpack = UNPACK[self.headers.get("Content-Encoding", "")]
                self.server.keep(list(decode(path, unpack(body))))
        except (NotUnderstood, KeyError, OSError, EOFError, zlib.error) as error:
            print(f"{path}: {error!r}", file=sys.stderr, flush=True)
            return self._answer(400, {"error": str(error)})
        return self._answer(200, datadog.RATES if path in datadog.PATHS else None)

    do_PUT = do_POST  # ddtrace's word for it

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, answer: object) -> None:
        """Without an answer an empty body: that is OTLP's word for all taken, in protobuf."""
        body = b"" if answer is None else json.dumps(answer).encode()
        kind = "application/x-protobuf" if answer is None else "application/json"
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: stderr has what was not understood."""


def main() -> None:
    """Runs until it is killed."""
    parser = argparse.ArgumentParser(prog="bench.receivers")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with options.out.open("a", encoding="utf-8") as out, Server(options.port, out) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
