"""The connection that appends: bytes go to the kernel at once, answers are read when they come.

Nobody waits for it. What has no answer yet is kept and, after a failure, sent again in order: the
events have ids, and every other command may be given twice. The kernel sends what it was given
whatever becomes of the process.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gentrace.runtime.store.wire import Answers, Refused

ANSWER_S = 1.0
_UNSIGNALLED = getattr(socket, "MSG_NOSIGNAL", 0)


@dataclass(slots=True)
class Entry:
    """Commands that count together.

    Attributes:
        commands: how many there are.
        generation_id: of whom they tell, and ``steps`` how many steps of it.
        pushed: which of them appends to the list, -1 where none does; told the list's length.
        taken: called, on the store's thread, with what ``pushed`` answered.
    """

    data: bytes
    commands: int
    generation_id: str
    steps: int = 0
    pushed: int = -1
    taken: Callable[[int], None] | None = None
    answered: int = 0
    length: int = 0
    refusal: Refused | None = None
    sent_s: float = 0.0


class Sender:
    """Sends entries in order; every method may be called from any thread.

    Attributes:
        steps: how many steps have no answer yet.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew (a forked child): the connection is the parent's."""
        self.lock = threading.RLock()  # a signal's handler may tell something in between
        self._unanswered: deque[Entry] = deque()
        self._done: deque[Entry] = deque()
        self._connection: Any = None
        self._socket: Any = None
        self._client: Any = None
        self._out = b""
        self._answers = Answers()
        self._ended = False
        self._failure: Exception | None = None
        self.steps = 0

    @property
    def is_open(self) -> bool:
        """Whether what is sent goes to the kernel at once."""
        return self._socket is not None

    @property
    def waiting(self) -> int:
        """How many entries have no answer yet."""
        return len(self._unanswered)

    def send(self, entry: Entry) -> None:
        """Send it, or keep it for the next connection. Never waits."""
        with self.lock:
            self._read()
            self._unanswered.append(entry)
            self.steps += entry.steps
            if self._socket is not None:
                entry.sent_s = time.monotonic()
                self._write(entry.data)

    def open(self, client: Any) -> None:
        """Connect to that client's Redis, and send what has no answer again; on the store's thread.

        Raises:
            redis.RedisError, OSError: it does not answer.
        """
        pool = client.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)
        connection.connect()
        made: Any = getattr(connection, "_sock", None)
        if made is None:
            connection.disconnect()
            raise ConnectionError("no socket")
        with suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setblocking(False)
        with self.lock:
            self._connection, self._socket, self._client = connection, made, client
            self._out, self._answers = b"", Answers()
            if self._ended:
                self._drop(None)
            for entry in self._unanswered:
                entry.answered, entry.refusal, entry.sent_s = 0, None, time.monotonic()
                self._write(entry.data)

    def is_of(self, client: Any) -> bool:
        """Whether it is connected where that client is."""
        return self._client is client

    def pump(self, wait_s: float = 0.0) -> list[Entry]:
        """Send on, read what has come; gives the entries that are answered.

        Args:
            wait_s: how long to wait for something to come.

        Raises:
            Refused, ConnectionError, TimeoutError: Redis takes nothing for now; the connection is
                given up, and what has no answer is kept.
        """
        waiting = self._socket if wait_s and self._unanswered else None
        if waiting is not None:
            with suppress(OSError, ValueError):
                select.select([waiting], [], [], wait_s)
        with self.lock:
            self._write(b"")
            self._read()
            oldest = self._unanswered[0].sent_s if self._unanswered else 0.0
            if self._socket is not None and 0 < oldest < time.monotonic() - ANSWER_S:
                self._drop(TimeoutError("no answer"))
            done = list(self._done)
            self._done.clear()
            failure, self._failure = self._failure, None
        for entry in done:
            if entry.taken is not None and entry.refusal is None:
                entry.taken(entry.length)
        if failure is not None:
            raise failure
        return done

    def _write(self, data: bytes) -> None:
        """Give the kernel what it takes."""
        if self._socket is None:
            return
        self._out = self._out + data if self._out else data
        if not self._out:
            return
        try:
            if isinstance(self._socket, ssl.SSLSocket):
                sent = self._socket.send(self._out)
            else:
                sent = self._socket.send(self._out, _UNSIGNALLED)
            self._out = self._out[sent:]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except (OSError, ValueError) as exc:
            self._drop(ConnectionError(str(exc)))

    def _read(self) -> None:
        """Take in what has come, without waiting."""
        try:
            while self._socket is not None:
                some = self._socket.recv(65_536)
                if not some:
                    self._drop(ConnectionError("closed"))
                    return
                for answer in self._answers.take(some):
                    self._answered(answer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except (OSError, ValueError) as exc:
            self._drop(ConnectionError(str(exc)))

    def _answered(self, answer: int | str | Exception) -> None:
        if not self._unanswered or self._socket is None:
            return
        entry = self._unanswered[0]
        if isinstance(answer, Refused):
            if answer.is_outage:
                self._drop(answer)
                return
            entry.refusal = answer
        elif entry.answered == entry.pushed and isinstance(answer, int):
            entry.length = answer
        entry.answered += 1
        if entry.answered == entry.commands:
            self._done.append(self._unanswered.popleft())
            self.steps -= entry.steps

    def _drop(self, failure: Exception | None) -> None:
        """Give the connection up, under the lock; what has no answer is kept."""
        connection, self._connection, self._socket, self._out = self._connection, None, None, b""
        self._client = None
        if failure is not None:
            self._failure = failure
        if connection is not None:
            with suppress(OSError, ValueError):
                connection.disconnect()

    def close(self, *, ended: bool = False) -> None:
        """Give the connection up; ``ended``: there will be no other."""
        with self.lock:
            self._ended = self._ended or ended
            self._drop(None)

    def clear(self) -> list[Entry]:
        """Take out what has no answer."""
        with self.lock:
            left, self._unanswered = list(self._unanswered), deque[Entry]()
            self.steps = 0
            return left
