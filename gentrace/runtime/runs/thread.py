"""The run store's own thread and connection: what it is asked, what it has to write, in order.

Reads that the host waits for go first. Changes of one generation are kept together and written
together a moment later, unless one is urgent. While Redis does not answer they are kept, up to a
bound; what is over it is dropped and said in the run.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gentrace.runtime import notices
from gentrace.runtime.runs.change import Change

MAX_WAITING = 10_000
GATHER_S = 0.1
PAUSE_S = 5.0
_SOCKET_TIMEOUT_S = 1.0
_MEMORY_LIMIT = 0.8
_MEMORY_EVERY_S = 15.0

Where = Mapping[str, Any] | str
Work = Callable[[Any], object]


class StoreThread:
    """Runs work on one connection, one piece at a time.

    Args:
        where: gives the Redis to use now, None while there is none.
        write: writes the changes of one generation.
        regular: called on the thread about every ``interval_s``, while Redis answers.
    """

    def __init__(
        self,
        where: Callable[[], Where | None],
        write: Callable[[Any, str, list[Change]], None],
        regular: Callable[[Any], float],
    ) -> None:
        self._where, self._write, self._regular = where, write, regular
        self._numbers = itertools.count(time.time_ns())
        self.lost = 0
        self.holes: set[str] = set()
        self.stopped = False
        self._renew()

    def _renew(self) -> None:
        self._wake = threading.Condition()
        self._asked: deque[Work] = deque()
        self._changes: OrderedDict[str, list[Change]] = OrderedDict()
        self._waiting = 0
        self._first = 0.0
        self._urgent = False
        self._busy = False
        self._moved = False
        self._thread: threading.Thread | None = None
        self._client: Any = None
        self._paused_until = 0.0
        self._next_regular = 0.0
        self.troubled = True  # until it has answered for the first time
        self.full = False
        self._memory_at = 0.0

    # -- from the host's threads -----------------------------------------------------------
    @property
    def paused(self) -> bool:
        """Redis did not answer lately."""
        return time.monotonic() < self._paused_until

    def put(self, work: Work) -> None:
        """Have something written next, unless Redis has no room for it or does not answer."""

        def unless_full(client: Any) -> None:
            if client is not None and not self.too_full(client):
                work(client)

        self.ask(unless_full)

    def ask(self, work: Work) -> None:
        """Have it done next; it is given None while there is no Redis to ask."""
        with self._wake:
            if not self.stopped:
                self._asked.append(work)
                self._begin()

    def change(self, generation_id: str, change: Change, urgent: bool) -> None:
        """Write a change soon, or within :data:`GATHER_S`. Never waits."""
        with self._wake:
            if self.stopped or self._waiting >= MAX_WAITING:
                self.drop(generation_id, 1)
                return
            if not self._changes:
                self._first = time.monotonic()
            # Numbered as they are written: a later number taken first would hide an earlier one.
            numbered = replace(change, seq=change.seq or next(self._numbers))
            self._changes.setdefault(generation_id, []).append(numbered)
            self._waiting += 1
            self._urgent = self._urgent or urgent
            self._begin()

    def drop(self, generation_id: str, count: int) -> None:
        """So many changes of that generation are not written; its next one says so."""
        self.lost += count
        if len(self.holes) < MAX_WAITING:
            self.holes.add(generation_id)

    def _begin(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="gentrace-store", daemon=True)
            self._thread.start()
        self._wake.notify_all()

    def move(self) -> None:
        """Another Redis from now on."""
        with self._wake:
            self._moved, self._paused_until, self.troubled = True, 0.0, True
            self._memory_at, self.full = 0.0, False
            self._wake.notify_all()

    def start(self) -> None:
        """Run the regular work from now on, also where nothing else is to do."""
        with self._wake:
            if not self.stopped:
                self._begin()

    def hurry(self, seconds: float) -> None:
        """Do the regular work that soon at the latest."""
        with self._wake:
            self._next_regular = min(self._next_regular, time.monotonic() + seconds)
            self._wake.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was put so far is written; False when the time is over."""
        deadline = time.monotonic() + timeout_s
        with self._wake:
            self._urgent = True
            self._wake.notify_all()
            while self._changes or self._asked or self._busy:
                left = deadline - time.monotonic()
                if left <= 0 or self.paused or self._thread is None or not self._thread.is_alive():
                    return False
                self._wake.wait(left)
        return True

    def stop(self, timeout_s: float) -> None:
        """Write what waits, then end the thread and the connection."""
        deadline = time.monotonic() + timeout_s
        self.flush(timeout_s)
        with self._wake:
            self.stopped = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))

    def after_fork(self) -> None:
        """In a forked child: no thread, no connection and no work of the parent's."""
        self._renew()
        self.holes, self.lost = set(), 0

    # -- on the thread ---------------------------------------------------------------------
    def _run(self) -> None:
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        with suppress_instrumentation():
            while self._step():
                pass
        self._close()

    def _step(self) -> bool:
        with self._wake:
            self._wait()
            if self.stopped:
                return False
            asked, self._asked = self._asked, deque()
            generation_id, changes = "", list[Change]()
            if self._changes and not self.paused and self._ripe():
                generation_id, changes = self._changes.popitem(last=False)
                self._waiting -= len(changes)
            self._busy = True
        try:
            for work in asked:
                self._guarded(work)
            if changes:
                self._guarded_write(generation_id, changes)
            if time.monotonic() >= self._next_regular and not self.paused:
                self._guarded(self._do_regular)
        finally:
            with self._wake:
                self._busy = False
                if not self._changes:
                    self._urgent = False
                self._wake.notify_all()
        return True

    def _ripe(self) -> bool:
        return self._urgent or self.stopped or time.monotonic() - self._first >= GATHER_S

    def _wait(self) -> None:
        """Until there is something to do."""
        while not self.stopped and not self._asked:
            now = time.monotonic()
            if self.paused:
                left = self._paused_until - now
            elif self._changes:
                if self._ripe():
                    return
                left = self._first + GATHER_S - now
            else:
                left = self._next_regular - now
            if left <= 0:
                return
            self._wake.wait(left)

    def _do_regular(self, client: Any) -> None:
        self._next_regular = time.monotonic() + PAUSE_S
        self.hurry(self._regular(client))

    def _guarded(self, work: Work) -> bool:
        try:
            client = self.client()
            work(client)
        except Exception as exc:
            self.failed(exc)
            return False
        if client is not None and not self.paused:
            self.troubled = False
        return True

    def _guarded_write(self, generation_id: str, changes: list[Change]) -> None:
        try:
            client = self.client()
            if client is None:
                raise ConnectionError("there is no Redis")
            if self.too_full(client):
                self.drop(generation_id, len(changes))
                return
            self._write(client, generation_id, changes)
            self.troubled = False
        except Exception as exc:
            with self._wake:
                if self.failed(exc):
                    later = self._changes.pop(generation_id, [])
                    self._changes[generation_id] = changes + later
                    self._changes.move_to_end(generation_id, last=False)
                    self._waiting += len(changes)
                else:
                    self.drop(generation_id, len(changes))

    def failed(self, exc: Exception) -> bool:
        """Pause after a failure; False where another try would fail in the same way."""
        from redis import exceptions

        outage = (OSError, exceptions.ConnectionError, exceptions.TimeoutError)
        refused = (exceptions.ReadOnlyError, exceptions.OutOfMemoryError)
        if not isinstance(exc, (*outage, *refused)):
            notices.swallowed("run store", exc)
            return False
        self._paused_until = time.monotonic() + PAUSE_S
        self.troubled = True
        self._close()
        if isinstance(exc, exceptions.OutOfMemoryError):
            self._say_full()
            return True
        notices.say_once(
            "store",
            f"the run store in Redis does not answer ({type(exc).__name__}); "
            "polls and API calls may be missing from traces until it does",
        )
        return True

    def _say_full(self) -> None:
        notices.say_once(
            "store full",
            "Redis is more than 80 % full: the run store writes nothing until it has "
            "room again; runs in that time have no run span",
        )

    def too_full(self, client: Any) -> bool:
        """Redis has little room left: ARQ's own writes would fail next."""
        now = time.monotonic()
        if now >= self._memory_at:
            self._memory_at = now + _MEMORY_EVERY_S
            memory: dict[str, Any] = client.info("memory")
            limit = int(memory.get("maxmemory") or 0)
            self.full = bool(limit) and int(memory["used_memory"]) > _MEMORY_LIMIT * limit
            if self.full:
                self._say_full()
        return self.full

    def client(self) -> Any:
        """The connection, made when first needed; None while there is no Redis to ask."""
        where = self._where()
        if where is None or self.paused:
            return None
        if self._moved:
            self._moved = False
            self._close()
        if self._client is None:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            options: dict[str, Any] = {
                "decode_responses": True,
                "encoding_errors": "replace",
                "retry": Retry(NoBackoff(), 0),  # redis-py 6 would try for seconds; we come again
                "socket_timeout": _SOCKET_TIMEOUT_S,
                "socket_connect_timeout": _SOCKET_TIMEOUT_S,
            }
            try:
                self._client = (
                    redis.Redis.from_url(where, **options)  # pyright: ignore[reportUnknownMemberType]
                    if isinstance(where, str)
                    else redis.Redis(**where, **options)
                )
            except ValueError:
                raise ConnectionError("that is no address of a Redis") from None
        return self._client

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except Exception:
                return
