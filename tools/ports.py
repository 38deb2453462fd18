"""Loopback ports that belong to one process until it ends: `free_ports`.

They lie outside the range from which the kernel picks ports for outgoing connections, so that no
connection takes one between two starts of a server.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
BLOCK = 64  # a process holds one socket for so many ports, not one each
LOWEST, HIGHEST = 10_240, 65_536
CONNECTIONS_FROM = 49_152  # where a system says nothing else, as IANA has it
LINUX_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NoFreePort(OSError):
    """Every block of ports belongs to a process that still runs."""


class _Ports:
    """The ports of this process that nobody got yet, taken block by block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[int] = []

    def take(self) -> int:
        with self._lock:
            while True:
                while self._left:
                    port = self._left.pop()
                    if not _in_use(port):
                        return port
                self._take_block()

    def _take_block(self) -> None:
        """A UDP socket on the first number holds the block, and leaves its TCP ports free.

        The kernel closes it when the process ends, however that comes about. A file's lock would
        depend on the folder for temporary files, which differs between programs under test.
        """
        for first in _blocks():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held, suppress(OSError):
                held.bind((HOST, first))
                held.detach()  # stays open beyond this block
                self._left = list(reversed(range(first, first + BLOCK)))
                return
        raise NoFreePort("other processes hold all ports for servers")


_mine = _Ports()


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on and that no other process gets while this one runs."""
    return [_mine.take() for _ in range(count)]


def for_servers() -> range:
    """The wider of the two ranges below and above the ports of outgoing connections."""
    first, last = CONNECTIONS_FROM, HIGHEST - 1
    with suppress(OSError, ValueError):
        first, last = map(int, LINUX_RANGE.read_text(encoding="ascii").split())
    found = max(range(LOWEST, first), range(last + 1, HIGHEST), key=len)
    # Where connections may use nearly all, a server's port is worth a risk.
    return found if len(found) >= BLOCK else range(LOWEST, HIGHEST)


def _blocks() -> Iterator[int]:
    """The first port of each block; processes that begin together begin at different ones."""
    ports = for_servers()
    count = len(ports) // BLOCK
    for number in range(count):
        yield ports[(os.getpid() + number) % count * BLOCK]


def _in_use(port: int) -> bool:
    """Whether a server listens there that asked nobody; its closed connections do not count."""
    with socket.socket() as tried:
        if os.name == "posix":
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            return True
    return False


def _forget() -> None:
    """A forked child asks for a block of its own: the parent's ports are not the child's."""
    global _mine
    _mine = _Ports()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
