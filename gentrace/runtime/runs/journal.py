"""Changes as they are told, so that none is lost with its process before it was written.

The store's thread applies a change a moment after it was told. A process that is killed in that
moment would take it along: an end that was committed, a span that a job already hangs under. So
each change also goes to Redis as it is, the urgent ones at once and the others with the next of
those or within a tenth of a second. Its bytes are given to the kernel, which sends them whatever
becomes of the process; nobody waits for anything, and no answer is asked for. Who finds the
process gone applies what it had told (runs/settle.py).

Key: the sorted set ``gentrace:<profile>:journal:<instance>``, changes (JSON) by their numbers.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from typing import Any

from gentrace.runtime import notices
from gentrace.runtime.runs import keys
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.keys import Keys
from gentrace.runtime.runs.thread import StoreThread

REGULAR_S = 5.0
_MAX_ENTRY = 16_384
_MAX_ENTRIES = 5_000
_LIFE_S = str(keys.LIVE_TTL_S)
_PASSES = 2  # of striking out, before there is nothing left to strike
_encoded = json.JSONEncoder(separators=(",", ":")).encode
_UNSIGNALLED = getattr(socket, "MSG_NOSIGNAL", 0)


class Journal:
    """Keeps in Redis what this process has told and not written yet.

    Args:
        thread: applies the changes; gives them here first.
        instance: gives this process's id.
    """

    def __init__(self, key: Keys, thread: StoreThread, instance: Callable[[], str]) -> None:
        self._key, self._thread, self._instance = key, thread, instance
        thread.told = self.add
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may tell something in between
        self._connection: Any = None
        self._socket: socket.socket | None = None
        self._opened_for: Any = None
        self._unsent: list[bytes] = []
        self._entries = self._passes = 0
        self._again_s = 0.0
        self._ended = False

    # -- from the host's threads -----------------------------------------------------------
    def add(self, generation_id: str, change: Change, urgent: bool) -> None:
        """Send a change on its way. Never waits; where it cannot go at once it does not go."""
        state = self._thread.connection
        if self._connection is None or state.paused or state.full:
            return
        if self._entries >= _MAX_ENTRIES:
            return
        try:
            text = _encoded([generation_id, change.plain()])
            if len(text) > _MAX_ENTRY:
                return
            name = self._key.journal(self._instance())
            score = str(self._score(change.seq))
            command = _packed("ZADD", name, score, text) + _packed("EXPIRE", name, _LIFE_S)
            with self._lock:
                self._unsent.append(command)
                self._entries, self._passes = self._entries + 1, _PASSES
            if urgent:
                self.send()
        except Exception as exc:
            notices.swallowed("journal", exc)

    def send(self) -> None:
        """Send what waits for the next urgent change."""
        with self._lock:
            unsent, self._unsent = b"".join(self._unsent), []
            sent = not unsent or self._socket is None or self._sent(self._socket, unsent)
            if not sent:
                self._drop()
        if not sent:
            self._thread.hurry(0)  # the thread makes another

    def _score(self, seq: int) -> int:
        """A change's number as Redis can tell it from the next: a score has 53 bits."""
        return seq - self._thread.first

    @staticmethod
    def _sent(to: socket.socket, command: bytes) -> bool:
        """Whether the kernel has taken all of it: half a command would spoil the next."""
        flags = 0 if isinstance(to, ssl.SSLSocket) else _UNSIGNALLED
        try:
            return to.send(command, flags) == len(command)
        except (OSError, ValueError):
            return False

    # -- on the store's thread -------------------------------------------------------------
    def regular(self, client: Any) -> float:
        """See to the connection, strike out what is written; the seconds until the next time.

        Where this connection is not to be had, the store does without.

        Raises:
            redis.RedisError: the store's own does not answer: that comes first, and is said.
        """
        with self._lock:
            if self._socket is None or self._opened_for is not client or self._is_closed():
                self._drop()
        if self._connection is None and time.monotonic() >= self._again_s:
            client.ping()
            self._again_s = time.monotonic() + REGULAR_S  # where it cannot be opened
            with suppress(Exception):
                self._open(client)
                self._again_s = 0.0
        self.strike()
        return REGULAR_S

    def _open(self, client: Any) -> None:
        pool = client.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        connection.connect()
        connection.send_command("CLIENT", "REPLY", "OFF")
        made: socket.socket | None = getattr(connection, "_sock", None)
        if made is not None:
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            made.setblocking(False)
        with self._lock:
            self._connection, self._socket, self._opened_for = connection, made, client
            if made is None or self._ended:
                self._drop()

    def _is_closed(self) -> bool:
        """Whether Redis has closed the connection; what it says in spite of all is passed over."""
        try:
            while self._socket is not None and self._socket.recv(65_536):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except (OSError, ValueError):
            pass
        return True

    def strike(self) -> None:
        """Take out the changes that are written by now.

        By the same connection, so that none arrives after it was struck out; twice, should that
        connection be dead.
        """
        if not self._passes or self._connection is None:
            return
        name, written = self._key.journal(self._instance()), self._thread.written_up_to()
        with self._lock:
            upto = str(self._score(written))
            self._unsent.append(_packed("ZREMRANGEBYSCORE", name, "-inf", upto))
            self._entries = self._thread.waiting
            self._passes = _PASSES if self._entries else self._passes - 1
        self.send()

    def told_by(self, client: Any, instance: str) -> Iterator[tuple[str, list[Change]]]:
        """What that process had told and perhaps not written, by generation and in order."""
        found: list[tuple[str, Change]] = []
        for text in client.zrange(self._key.journal(instance), 0, -1):
            try:
                generation_id, plain = json.loads(text)
                found.append((str(generation_id), Change.of(plain)))
            except (ValueError, TypeError, KeyError, AttributeError) as exc:
                notices.swallowed("journal", exc)
        found.sort(key=lambda each: (each[0], each[1].seq))
        for generation_id, each in groupby(found, key=lambda each: each[0]):
            yield generation_id, [change for _, change in each]

    # -- the process -----------------------------------------------------------------------
    def _drop(self) -> None:
        """Give the connection up, under the lock."""
        connection, self._connection, self._socket = self._connection, None, None
        self._unsent.clear()
        if connection is not None:
            with suppress(OSError, ValueError):
                connection.disconnect()

    def close(self, *, written: bool = True, ended: bool = False) -> None:
        """Send no more until there is a connection again.

        Args:
            written: nothing that was told is of use to anybody: it is taken out.
            ended: there will be no connection.
        """
        with self._lock:
            self._ended = self._ended or ended
            if written and self._socket is not None and self._passes:
                self._sent(self._socket, _packed("DEL", self._key.journal(self._instance())))
            self._entries = self._passes = 0
            self._again_s = 0.0
            self._drop()

    def after_fork(self) -> None:
        """In a forked child: the connection is the parent's."""
        self._renew()


def _packed(*words: str) -> bytes:
    """A command as Redis reads it."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        encoded = word.encode("utf-8", "replace")
        parts.append(b"$%d\r\n%b\r\n" % (len(encoded), encoded))
    return b"".join(parts)
