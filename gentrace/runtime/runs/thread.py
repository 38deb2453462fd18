"""The run store's own thread and connection: what it is asked, what it has to write, in order.

Reads that the host waits for go first. Changes of one generation are kept together and written
together a moment later, unless one is urgent. While Redis does not answer they are kept, up to a
bound; what is over it is dropped and said in the run.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gentrace.runtime import notices
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.connection import PAUSE_S, Connection, NoRedis, Where, is_outage

MAX_WAITING = 10_000
GATHER_S = 0.1
_AT_ONCE = 8
"""What was asked is done in so many at a time, so that who waits comes soon."""

Work = Callable[[Any], object]


class StoreThread:
    """Runs work on one connection, one piece at a time.

    Args:
        where: gives the Redis to use now, None while there is none.
        write: writes the changes of one generation.
        regular: called on the thread about every ``interval_s``, while Redis answers.

    Attributes:
        first: the number that the changes are numbered from.
        told: given each change, with its number, as it is put, and whether it is urgent; in the
            host's time.
    """

    def __init__(
        self,
        where: Callable[[], Where | None],
        write: Callable[[Any, str, list[Change]], None],
        regular: Callable[[Any], float],
    ) -> None:
        self._write, self._regular = write, regular
        self.connection = Connection(where)
        self.first = self._last = time.time_ns()  # the number of the last change
        self.told: Callable[[str, Change, bool], None] = lambda _generation_id, _change, _urgent: (
            None
        )
        self.lost = 0
        self.holes: set[str] = set()
        self.stopped = False
        self._renew()

    def _renew(self) -> None:
        self._wake = threading.Condition()
        self._asked: deque[Work] = deque()
        self._later: deque[Work] = deque()
        self._changes: OrderedDict[str, list[Change]] = OrderedDict()
        self._waiting = self._in_hand = 0
        self._first = 0.0
        self._urgent = False
        self._busy = False
        self._thread: threading.Thread | None = None
        self._next_regular = 0.0

    # -- from the host's threads -----------------------------------------------------------
    def put(self, work: Work, generation_id: str) -> None:
        """Have something of that generation written next, or when Redis answers again.

        Where Redis has no room for it, that counts as a change that was lost.
        """

        def writing(client: Any) -> None:
            if client is None:
                if self.connection.paused:
                    self._keep(writing, generation_id)
                return
            try:
                if self.connection.too_full(client):
                    self.drop(generation_id, 1)
                else:
                    work(client)
            except Exception as exc:
                if is_outage(exc):
                    self._keep(writing, generation_id)
                else:
                    self.drop(generation_id, 1)
                raise

        self.ask(writing)

    def _keep(self, work: Work, generation_id: str) -> None:
        if len(self._later) < MAX_WAITING:
            self._later.append(work)
        else:
            self.drop(generation_id, 1)

    def ask(self, work: Work, *, first: bool = False, hurry: bool = False) -> None:
        """Have it done next; it is given None while there is no Redis to ask.

        Args:
            first: before all else that is asked: somebody waits for it.
            hurry: and write the changes that wait at once.
        """
        with self._wake:
            if self.stopped:
                return
            self._urgent = self._urgent or hurry
            if first:
                self._asked.appendleft(work)
            else:
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
            numbered = replace(change, seq=change.seq or self._last + 1)
            self._last = max(self._last, numbered.seq)
            self._changes.setdefault(generation_id, []).append(numbered)
            self._waiting += 1
            self._urgent = self._urgent or urgent
            self._begin()
        self.told(generation_id, numbered, urgent)

    @property
    def waiting(self) -> int:
        """How many changes are not written yet."""
        return self._waiting + self._in_hand

    def written_up_to(self) -> int:
        """The number up to which all changes are written or dropped; asked on the thread."""
        with self._wake:
            return min((each[0].seq for each in self._changes.values()), default=self._last + 1) - 1

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
            self.connection.move()
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
        """Write what waits, then end the thread and the connection; False if that is not all."""
        deadline = time.monotonic() + timeout_s
        written = self.flush(timeout_s)
        with self._wake:
            self.stopped = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._wake:
            left = {generation_id: len(each) for generation_id, each in self._changes.items()}
            self._changes.clear()
            for generation_id, count in left.items():
                self.drop(generation_id, count)
        if left and not self.connection.troubled:  # else that has been said
            notices.say_once(
                "store left",
                f"{sum(left.values())} changes of {len(left)} generations did not reach the run "
                "store before the process ended; their run spans lack them",
            )
        return written

    def after_fork(self) -> None:
        """In a forked child: no thread, no connection and no work of the parent's."""
        self._renew()
        self.connection.renew()
        self.holes, self.lost = set(), 0

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
            generation_id, changes = "", list[Change]()
            if self._changes and not self.connection.paused and self._ripe():
                generation_id, changes = self._changes.popitem(last=False)
                self._waiting -= len(changes)
            self._busy, self._in_hand = True, len(changes)
        try:
            for work in asked:
                self._guarded(work)
            if changes:
                self._guarded_write(generation_id, changes)
                self._in_hand = 0
            if time.monotonic() >= self._next_regular and not self.connection.paused:
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
            if self.connection.paused:
                left = self.connection.paused_s
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
        if client is not None:
            with self._wake:
                self._asked.extend(self._later)
                self._later.clear()
        self.hurry(self._regular(client))

    def _guarded(self, work: Work) -> bool:
        try:
            client = self.connection.client()
            work(client)
        except Exception as exc:
            self.connection.failed(exc)
            return False
        if client is not None and not self.connection.paused:
            self.connection.troubled = False
        return True

    def _guarded_write(self, generation_id: str, changes: list[Change]) -> None:
        try:
            client = self.connection.client()
            if client is None:
                raise NoRedis
            if self.connection.too_full(client):
                self.drop(generation_id, len(changes))
                return
            self._write(client, generation_id, changes)
            self.connection.troubled = False
        except Exception as exc:
            again = self.connection.failed(exc)
            with self._wake:
                if again:
                    later = self._changes.pop(generation_id, [])
                    self._changes[generation_id] = changes + later
                    self._changes.move_to_end(generation_id, last=False)
                    self._waiting += len(changes)
                else:
                    self.drop(generation_id, len(changes))
