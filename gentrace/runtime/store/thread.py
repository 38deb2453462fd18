"""The run store's own thread: what it is asked, what waits to be sent, what is regular.

Reads that the host waits for go first. Sending is done in the host's time where it can be
(store/sender.py); here the connections are made, answers are read, and what waited is sent.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from gentrace.runtime import notices
from gentrace.runtime.store.connection import PAUSE_S, Connection, NoRedis, Where, is_outage
from gentrace.runtime.store.sender import Sender
from gentrace.runtime.store.stream import GATHER_S, Stream

_AT_ONCE = 8
"""What was asked is done in so many at a time, so that who waits comes soon."""

_ANSWER_S = 0.005
"""So long an answer is waited for at a time, where somebody waits for what was told."""

Work = Callable[[Any], object]


class StoreThread:
    """Runs work on one connection, one piece at a time.

    Args:
        where: gives the Redis to use now, None while there is none.
        regular: called on the thread while Redis answers; gives the seconds until the next time.

    Attributes:
        stream: what it sends; set once, before anything is asked.
        opened: called on the thread when there is a new connection.
    """

    stream: Stream

    def __init__(
        self, where: Callable[[], Where | None], regular: Callable[[Any], float], sender: Sender
    ) -> None:
        self._regular, self.sender = regular, sender
        self.connection = Connection(where)
        self.opened: Callable[[Any], object] = lambda _client: None
        self.stopped = False
        self._renew()

    def _renew(self) -> None:
        self._wake = threading.Condition()
        self._asked: deque[Work] = deque()
        self._busy = self._urgent = False
        self._thread: threading.Thread | None = None
        self._next_regular = 0.0
        self._look_s = math.inf  # when there is something to send, or to read
        self._wakes_s = 0.0

    # -- from the host's threads -----------------------------------------------------------
    def ask(self, work: Work, *, first: bool = False, hurry: bool = False) -> None:
        """Have it done next; it is given None while there is no Redis to ask.

        Args:
            first: before all else that is asked: somebody waits for it.
            hurry: and send what waits at once.
        """
        with self._wake:
            if self.stopped:
                return
            if hurry:
                self._urgent, self._look_s = True, 0.0
            if first:
                self._asked.appendleft(work)
            else:
                self._asked.append(work)
            self._begin()
            self._wake.notify_all()

    def look(self, seconds: float) -> None:
        """Look in so many seconds whether something is to be sent or read."""
        at_s = time.monotonic() + seconds
        with self._wake:
            if self.stopped:
                return
            self._look_s = min(self._look_s, at_s)
            if not self._begin() and at_s < self._wakes_s:
                self._wake.notify_all()

    def _begin(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return False
        self._thread = threading.Thread(target=self._run, name="gentrace-store", daemon=True)
        self._thread.start()
        return True

    def move(self) -> None:
        """Another Redis from now on."""
        with self._wake:
            self.connection.move()
            self._wake.notify_all()

    def start(self) -> None:
        """Run the regular work from now on, also where nothing else is to do."""
        with self._wake:
            if not self.stopped:
                self._begin()
                self._wake.notify_all()

    def hurry(self, seconds: float) -> None:
        """Do the regular work that soon at the latest."""
        with self._wake:
            self._next_regular = min(self._next_regular, time.monotonic() + seconds)
            self._wake.notify_all()

    @property
    def _idle(self) -> bool:
        return not (self._asked or self._busy or self.stream.unsent or self.sender.waiting)

    def flush(self, timeout_s: float) -> bool:
        """Wait until what was told so far is there; False when the time is over."""
        deadline = time.monotonic() + timeout_s
        with self._wake:
            if not self._idle:
                self._urgent, self._look_s = True, 0.0
                if not self.stopped:
                    self._begin()
                self._wake.notify_all()
            while not self._idle:
                left = deadline - time.monotonic()
                if (
                    left <= 0
                    or self.connection.paused
                    or self._thread is None
                    or not self._thread.is_alive()
                ):
                    return False
                self._wake.wait(left)
        return True

    def stop(self, timeout_s: float) -> bool:
        """Send what waits, then end the thread and the connections; False if that is not all."""
        deadline = time.monotonic() + timeout_s
        written = self.flush(timeout_s)
        with self._wake:
            self.stopped = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
        left = self.stream.stop()
        for generation_id, count in left.items():
            self.stream.drop(generation_id, count)
        self.sender.close(ended=True)
        if left and not self.connection.troubled:  # else that has been said
            notices.say_once(
                "store left",
                f"{sum(left.values())} steps of {len(left)} generations did not reach the run "
                "store before the process ended; their run spans lack them",
            )
        return written

    def after_fork(self) -> None:
        """In a forked child: no thread, no connection and no work of the parent's."""
        self._renew()
        self.connection.renew()

    # -- on the thread ---------------------------------------------------------------------
    def _run(self) -> None:
        from opentelemetry.instrumentation.utils import suppress_instrumentation

        with suppress_instrumentation():
            while self._step():
                pass
        self.connection.close()

    def _step(self) -> bool:
        with self._wake:
            self._wait()
            if self.stopped:
                return False
            asked = [self._asked.popleft() for _ in range(min(len(self._asked), _AT_ONCE))]
            self._busy = True
        try:
            for work in asked:
                self._guarded(work)
            if time.monotonic() >= self._look_s and not self.connection.paused:
                self._guarded(self._pump)
            if time.monotonic() >= self._next_regular and not self.connection.paused:
                self._guarded(self._do_regular)
        finally:
            with self._wake:
                self._busy = False
                if self.sender.waiting or self.stream.unsent:  # whatever went wrong just now
                    self._look_s = min(self._look_s, time.monotonic() + GATHER_S)
                self._wake.notify_all()
        return True

    def _wait(self) -> None:
        """Until there is something to do."""
        while not self.stopped and not self._asked:
            now = time.monotonic()
            left = min(self._look_s, self._next_regular) - now
            if self.connection.paused:
                left = self.connection.paused_s
            if left <= 0:
                return
            self._wakes_s = now + left
            self._wake.wait(left)
        self._wakes_s = 0.0

    def _do_regular(self, client: Any) -> None:
        self._next_regular = time.monotonic() + PAUSE_S
        if client is not None:
            self._connect(client)
        self.hurry(self._regular(client))

    def _connect(self, client: Any) -> None:
        if not self.sender.is_of(client):
            self.sender.close()
            self.opened(client)
            self.sender.open(client)

    def _pump(self, client: Any) -> None:
        """Send what waits, read the answers."""
        with self._wake:
            self._look_s, urgent = math.inf, self._urgent
        if not self.sender.waiting and not self.stream.unsent:
            self._urgent = False
            return
        if client is None:
            raise NoRedis
        self._connect(client)
        self.stream.full = self.connection.too_full(client)
        if self.stream.full:
            self._give_up()
        elif urgent or self.stream.is_ripe:
            self.stream.send()
        for entry in self.sender.pump(_ANSWER_S if urgent else 0.0):
            if entry.refusal is not None:
                self.stream.refused(entry)
        with self._wake:
            if self.sender.waiting or self.stream.unsent:
                again_s = time.monotonic() + (0.0 if self._urgent else GATHER_S / 2)
                self._look_s = min(self._look_s, again_s)
            else:
                self._urgent = False

    def _give_up(self) -> None:
        """Redis has no room: what waits is not told."""
        for generation_id, count in self.stream.take_back().items():
            self.stream.drop(generation_id, count)

    def _guarded(self, work: Work) -> bool:
        try:
            client = self.connection.client()
            work(client)
        except Exception as exc:
            if is_outage(exc):
                self.sender.close()
                self._look_s = 0.0  # once it is not left alone any more
            self.connection.failed(exc)
            return False
        if client is not None and not self.connection.paused:
            self.connection.troubled = False
        return True
