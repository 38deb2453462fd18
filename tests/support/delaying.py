"""A TCP proxy on a free loopback port that lets everything through late, or nothing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from tools.servers import HOST

_CHUNK = 65_536


class Delaying:
    """Hands on what a server answers, ``delay_s`` later; that may change meanwhile."""

    def __init__(self, port: int, delay_s: float) -> None:
        self.delay_s = delay_s
        self._to = port
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._begin(self._accept)

    @property
    def url(self) -> str:
        """Where it listens, as a Redis."""
        return f"redis://{HOST}:{self.port}/0"

    def _begin(self, work: object, *args: socket.socket) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            with suppress(OSError):
                client, _ = self._listening.accept()
                server = socket.create_connection((HOST, self._to))
                self._open += [client, server]
                self._begin(self._pump, client, server)
                self._begin(self._pump_late, server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                sink.sendall(data)
            sink.close()

    def _pump_late(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                until = time.monotonic() + self.delay_s
                while time.monotonic() < until and not self._stopped.wait(0.01):
                    if not self.delay_s:
                        break
                sink.sendall(data)
            sink.close()

    def close(self) -> None:
        """End every connection and thread."""
        self._stopped.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        for each in (self._listening, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)


@contextmanager
def delaying(port: int, delay_s: float) -> Generator[Delaying]:
    """The proxy in front of that port, for the length of the block."""
    proxy = Delaying(port, delay_s)
    try:
        yield proxy
    finally:
        proxy.close()
