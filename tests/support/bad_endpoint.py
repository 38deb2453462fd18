"""Endpoints that are none: they never answer, hang up, redirect, or answer what is not OTLP.

What an honest receiver with a bad day does (refuse, hang, nonsense over gRPC) is in
`otlp_receiver`; here are the bytes of strangers.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

HOST = "127.0.0.1"
DRIP_S = 0.05
PROTOBUF, HTML, JSON = "application/x-protobuf", "text/html; charset=utf-8", "application/json"

Behave = Callable[[socket.socket, threading.Event], None]
"""Deals with one connection whose request has been read; the event is set at the end."""


@contextmanager
def bad_endpoint(behave: Behave) -> Generator[str]:
    """Behaves so to every connection, for the length of the block; yields `host:port`."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(0.2)
            while not over.is_set() and _read_request(connection, over):
                behave(connection, over)

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    with socket.create_server((HOST, 0)) as listening:
        listening.settimeout(0.1)
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"{HOST}:{listening.getsockname()[1]}"
        finally:
            over.set()
            accepting.join()
            for thread in threads:
                thread.join()


@contextmanager
def never_accepts() -> Generator[str]:
    """Listens, accepts nobody, and has no room left for those who wait; yields `host:port`."""
    with socket.socket() as listening:
        listening.bind((HOST, 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        try:
            yield f"{HOST}:{address[1]}"
        finally:
            for each in waiting:
                each.close()


def answers(
    status: str = "200 OK", body: bytes = b"", kind: str = PROTOBUF, *headers: str, cut: int = 0
) -> Behave:
    """One HTTP answer, always the same; `cut`: it hangs up so many bytes before its end."""

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        whole = "\r\n".join([*head, *headers, "", ""]).encode() + body
        connection.sendall(whole[: len(whole) - cut])
        if cut:
            connection.shutdown(socket.SHUT_RDWR)

    return behave


def rejects(spans: int, said: str = "no room") -> Behave:
    """Takes the batch, but for so many of its spans."""
    partial = ExportTracePartialSuccess(rejected_spans=spans, error_message=said)
    answer = ExportTraceServiceResponse(partial_success=partial)
    return answers(body=answer.SerializeToString())


def resets(connection: socket.socket, _over: threading.Event) -> None:
    """Hangs up at once, with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def never_answers(_connection: socket.socket, over: threading.Event) -> None:
    """Reads the request and says nothing."""
    over.wait()


def never_ends(connection: socket.socket, over: threading.Event) -> None:
    """A well-formed answer whose body has no end, a byte at a time."""
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {PROTOBUF}\r\n\r\n".encode())
    while not over.wait(DRIP_S):
        connection.sendall(b"\0")


def floods(connection: socket.socket, over: threading.Event) -> None:
    """A well-formed answer whose body has no end, as fast as it goes."""
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {PROTOBUF}\r\n\r\n".encode())
    while not over.is_set():
        connection.sendall(b"\0" * 65536)


def _read_request(connection: socket.socket, over: threading.Event) -> bool:
    """Read one HTTP request, or whatever came that is none; False at the end."""
    got = bytearray()
    while not over.is_set():
        try:
            more = connection.recv(65536)
        except TimeoutError:
            if got:
                return True  # no HTTP: nobody knows how long it is
            continue
        if not more:
            return False
        got += more
        head, ended, body = bytes(got).partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n") if ended else ():
            name, _, value = line.partition(b":")
            if name == b"content-length" and len(body) >= int(value):
                return True
    return False
