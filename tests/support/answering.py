"""An HTTP server that gives prepared answers, the broken ones too; each path has its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from urllib.parse import urlsplit

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Prepared:
    """One answer.

    Attributes:
        body: what is sent, or what makes it of the path with its query.
        promised: the Content-Length, where it is not the body's: a longer one is an answer cut off.
        hangs: nothing is answered until the server ends.
        by_hand: writes the whole answer, headers and all, until it is told that the server ends.
    """

    body: str | Callable[[str], str] = ""
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    promised: int | None = None
    hangs: bool = False
    by_hand: Callable[[BufferedIOBase, threading.Event], None] | None = None


class Answering(ThreadingHTTPServer):
    """Answers by the longest path that a request's begins with; else 404.

    Attributes:
        asked: every path with its query, and the headers that came with it.
    """

    daemon_threads = False

    def __init__(self, answers: Mapping[str, Prepared]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.over = threading.Event()
        self.open: set[socket.socket] = set()
        super().__init__((HOST, 0), _Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        path = urlsplit(self.path).path
        fitting = [begin for begin in self.server.answers if path.startswith(begin)]
        if not fitting:
            return self._send(Prepared("404 page not found\n", 404, "text/plain"))
        answer = self.server.answers[max(fitting, key=len)]
        if answer.hangs:
            self.server.over.wait(60)
        if answer.by_hand is not None:
            self.close_connection = True
            with suppress(OSError):
                answer.by_hand(self.wfile, self.server.over)
            return None
        return self._send(answer)

    def _send(self, answer: Prepared) -> None:
        text = answer.body if isinstance(answer.body, str) else answer.body(self.path)
        body = text.encode()
        length = len(body) if answer.promised is None else answer.promised
        with suppress(OSError):
            self.send_response(answer.status)
            for name, value in {"Content-Type": answer.kind, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)
        if length > len(body):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test's output is its own."""


@contextmanager
def answering(answers: Mapping[str, Prepared]) -> Generator[Answering]:
    """The server, for the length of the block."""
    server = Answering(answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        for connection in list(server.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        server.server_close()
        thread.join(5)
