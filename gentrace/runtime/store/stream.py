"""What this process tells of each generation: one list of steps, and how far Redis has it.

A step is numbered and made to JSON as it is told, in the host's time. It leaves at once where it is
urgent and takes along what waits; else within :data:`GATHER_S`. What was told is kept until the
run's span is out, so that a Redis that lost it is told again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace

from gentrace.core import names
from gentrace.core.run import events
from gentrace.core.run.events import Step
from gentrace.core.run.rules import Settling
from gentrace.runtime.store import keys
from gentrace.runtime.store.connection import say_refused
from gentrace.runtime.store.keys import Keys
from gentrace.runtime.store.sender import Entry, Sender
from gentrace.runtime.store.told import Mine, Told, batches, life, shortened
from gentrace.runtime.store.wire import packed

MAX_WAITING = 10_000
GATHER_S = 0.1
AGAIN_WITHIN_S = 60.0
"""A master that took its place from another may lack what was acknowledged so lately."""
_MAX_RUNS = 1000
_MAX_BYTES = 4_000_000
_KEPT_S = 600.0
_MAX_OPEN = 64
_SOON_S = 3600.0
LONG = 48
"""So many elements of a list are put together to one."""


class Stream:
    """Takes steps and hands them to the sender; every method may be called from any thread.

    Args:
        wake: has the store's thread look in so many seconds.

    Attributes:
        instance: gives this process's id.
        skew_ns: by how much this process's clock is ahead of Redis's, where that is sure.
        offset_s: the same as it was measured.
        lost: steps that Redis did not get; ``holes`` are the generations that they were of.
        full: Redis has little room left: nothing is told.
        long: called with a generation whose list has become long.
    """

    def __init__(
        self,
        key: Keys,
        rules: Settling,
        sender: Sender,
        instance: Callable[[], str],
        wake: Callable[[float], None],
    ) -> None:
        self._key, self.rules, self.sender, self.instance = key, rules, sender, instance
        self._wake = wake
        self.long: Callable[[str], None] = lambda _generation_id: None
        self.renew()

    def renew(self) -> None:
        """Begin anew (a forked child is a process of its own)."""
        self._mine: OrderedDict[str, Mine] = OrderedDict()
        self._waiting: OrderedDict[str, Mine] = OrderedDict()
        self._unsent = self._n = self._bytes = 0
        self.since_s = 0.0
        self.skew_ns, self.offset_s = 0, 0.0
        self.lost = 0
        self.holes: set[str] = set()
        self.full = self.stopped = False

    # -- telling ---------------------------------------------------------------------------
    def tell(
        self,
        generation_id: str,
        step: Step,
        urgent: bool,
        *,
        only_existing: bool = False,
        begun: bool = False,
    ) -> None:
        """Have a step appended, at once or soon. Never waits.

        Args:
            only_existing: it begins no list.
            begun: another process has begun the run: its life in Redis is set.
        """
        with self.sender.lock:
            if self.stopped or self.full or self._unsent + self.sender.waiting >= MAX_WAITING:
                self.drop(generation_id, 1)
                return
            mine = self._mine.get(generation_id)
            if mine is None:
                mine = self._mine[generation_id] = Mine(generation_id)
                if begun:
                    mine.begun = f"{step.number}-{step.trace}"
            self._mine.move_to_end(generation_id)
            self._n += 1
            if generation_id in self.holes:
                step = replace(step, incomplete=(*step.incomplete, names.NO_STORE))
            step = shortened(mine, step)
            told = Told(step, events.body(step, self._n), time.monotonic())
            told.only_existing, told.says_so = only_existing, generation_id in self.holes
            self._around(mine, told)
            mine.told.append(told)
            mine.over_s = 0.0
            self._bytes += len(told.body) + 200
            if not self._waiting:
                self.since_s = told.at_s
            self._waiting[generation_id] = mine
            self._unsent += 1
            at_once = urgent and self.sender.is_open
            if at_once:
                self.send()
            self._bound()
        self._wake(0.0 if urgent and not at_once else GATHER_S / 2 if at_once else GATHER_S)

    def command(self, generation_id: str, *words: str | int, urgent: bool = False) -> None:
        """Have a command given that may be given twice. Never waits."""
        with self.sender.lock:
            if self.stopped or self.full or self.sender.waiting >= MAX_WAITING:
                self.drop(generation_id, 1)
                return
            self.sender.send(Entry(packed(*words), 1, generation_id, 1))
        self._wake(GATHER_S / 2)

    def _around(self, mine: Mine, told: Told) -> None:
        """The commands that go before a step: what others look for, should we die."""
        step = told.step
        if step.status in self.rules.outcomes:
            due_s = (step.at_ns + self.rules.ns(self.rules.outcomes[step.status])) / 1e9
            told.before += packed(
                "ZADD", self._key.settling, due_s - self.offset_s, mine.generation_id
            )
            told.commands += 1
        if len(mine.open) < _MAX_OPEN:
            mine.open |= {span.span_id: span.attributes for span in step.opened}
        for span_id in step.closed:
            mine.open.pop(span_id, None)
        if step.coming:
            mine.open["coming"] = {}
        if step.status or step.not_coming:
            mine.open.pop("coming", None)
        if mine.open and not mine.is_entered:
            mine.is_entered = True
            told.before += packed("SADD", self._key.open(self.instance()), mine.generation_id)
            told.commands += 1

    def strike_out(self) -> None:
        """Take the generations of which nothing is open any more out of those that have."""
        with self.sender.lock:
            over = [mine for mine in self._mine.values() if mine.is_entered and not mine.open]
            for mine in over:
                mine.is_entered = False
            if over and not self.stopped:
                ids = [mine.generation_id for mine in over]
                key = self._key.open(self.instance())
                self.sender.send(Entry(packed("SREM", key, *ids), 1, ids[0]))
                self.sender.send(Entry(packed("EXPIRE", key, keys.PAST_TTL_S), 1, ids[0]))

    @property
    def unsent(self) -> int:
        """How many steps wait to be sent, or for their answer."""
        return self._unsent + self.sender.steps

    @property
    def is_ripe(self) -> bool:
        """Whether what waits has waited long enough."""
        return bool(self._waiting) and time.monotonic() - self.since_s >= GATHER_S

    def send(self) -> None:
        """Send all that waits."""
        with self.sender.lock:
            waiting, self._waiting = self._waiting, OrderedDict()
            for mine in waiting.values():
                self._unsent -= len(mine.told) - mine.sent
                self._send(mine)

    def _send(self, mine: Mine) -> None:
        """One entry with everything of a generation that is not sent."""
        fresh = mine.told[mine.sent :]
        while fresh:
            count = next(
                (i for i, t in enumerate(fresh) if t.only_existing != fresh[0].only_existing),
                len(fresh),
            )
            self._push(mine, fresh[:count])
            fresh = fresh[count:]
        mine.sent = len(mine.told)

    def _push(self, mine: Mine, told: list[Told]) -> None:
        generation_id, key = mine.generation_id, self._key.events(mine.generation_id)
        named = next((t.step for t in reversed(told) if t.step.trace), None)
        mark = f"{named.number}-{named.trace}" if named is not None else mine.begun or "unknown"
        begins = not told[0].only_existing and mark != mine.begun
        before, commands, after, after_commands = b"", 0, b"", 0
        if begins:
            mine.begun = mark
            before, commands = life(self._key, generation_id, told, time.time() - self.offset_s)
        due_s = max((e.due_ns for t in told for e in t.step.events), default=0) / 1e9 - time.time()
        if begins or due_s > _SOON_S:
            life_s = keys.LIVE_TTL_S + max(0, round(due_s))
            for each in (key, self._key.run(generation_id)):
                after, after_commands = after + packed("EXPIRE", each, life_s), after_commands + 1
        elements = list(batches(told))
        before += b"".join(each.before for each in told)
        commands += sum(each.commands for each in told)
        verb = "RPUSHX" if told[0].only_existing else "RPUSH"
        entry = Entry(
            before + packed(verb, key, *elements) + after,
            commands + 1 + after_commands,
            generation_id,
            len(told),
            commands,
            lambda length: self._taken(mine, told, len(elements), length),
        )
        self.sender.send(entry)

    def _taken(self, mine: Mine, told: list[Told], elements: int, length: int) -> None:
        """Redis has these; where its list is new though some of ours were there, it was lost."""
        with self.sender.lock:
            if not length:  # there is no such list, and nothing was begun by this
                mine.told = [each for each in mine.told if each not in told]
                self._bytes -= sum(len(each.body) + 200 for each in told)
                mine.sent = min(mine.sent, len(mine.told))
                if not mine.told:
                    self._mine.pop(mine.generation_id, None)
                return
            was_there, mine.taken = mine.taken, mine.taken + elements
            is_lost = length <= elements and was_there > 0
            if is_lost:
                self._again([mine])
            if any(each.says_so for each in told):
                self.holes.discard(mine.generation_id)
        if is_lost:
            self._wake(0.0)
        if length > LONG and length % 16 < elements:
            self.long(mine.generation_id)

    # -- again -----------------------------------------------------------------------------
    def tell_again(self, *, lately: bool = False) -> None:
        """Redis has lost what it had, or may have lost what it got lately: tell it once more."""
        with self.sender.lock:
            since_s = time.monotonic() - AGAIN_WITHIN_S if lately else 0.0
            self._again([m for m in self._mine.values() if m.told and m.told[-1].at_s >= since_s])
        self._wake(0.0)

    def _again(self, some: Iterable[Mine]) -> None:
        for mine in some:
            self._unsent += mine.sent
            mine.sent = mine.taken = 0
            mine.begun = ""
            self.since_s = 0.0
            self._waiting[mine.generation_id] = mine

    def kept(self) -> list[str]:
        """The generations that were told of and are not known to be over."""
        with self.sender.lock:
            now = time.monotonic()
            return [
                mine.generation_id
                for mine in self._mine.values()
                if not mine.over_s and mine.told and now - mine.told[-1].at_s > 2 * GATHER_S
            ]

    def over(self, generation_ids: Iterable[str]) -> None:
        """The spans of these are out: what was told of them is kept for ten minutes more."""
        with self.sender.lock:
            now = time.monotonic()
            for generation_id in generation_ids:
                mine = self._mine.get(generation_id)
                if mine is not None:
                    mine.over_s = now
            gone = [i for i, m in self._mine.items() if m.over_s and now - m.over_s > _KEPT_S]
            for generation_id in gone:
                self._forget(generation_id)

    def _bound(self) -> None:
        """Keep no more than there is room for; what Redis has goes first."""
        while len(self._mine) > _MAX_RUNS or self._bytes > _MAX_BYTES:
            oldest = next(
                (m for m in self._mine.values() if m.sent == len(m.told) and not m.open), None
            )
            if oldest is None or oldest is next(reversed(self._mine.values())):
                return
            self._forget(oldest.generation_id)

    def _forget(self, generation_id: str) -> None:
        mine = self._mine.pop(generation_id)
        self._bytes -= mine.bytes
        self._waiting.pop(generation_id, None)

    # -- losing ----------------------------------------------------------------------------
    def drop(self, generation_id: str, count: int) -> None:
        """So many steps of that generation are not in Redis; its next one says so."""
        self.lost += count
        if len(self.holes) < MAX_WAITING:
            self.holes.add(generation_id)

    def take_back(self) -> dict[str, int]:
        """Take out what waits to be sent; how many steps, by generation."""
        with self.sender.lock:
            waiting, self._waiting = self._waiting, OrderedDict()
            left = {m.generation_id: len(m.told) - m.sent for m in waiting.values()}
            for mine in waiting.values():
                del mine.told[mine.sent :]
            self._unsent = 0
            return left

    def refused(self, entry: Entry) -> None:
        """Redis will not have it: by rights that it gave us, or the key is somebody else's."""
        refusal = entry.refusal
        assert refusal is not None
        say_refused(refusal, self._key.prefix)
        self.drop(entry.generation_id, max(1, entry.steps))

    def stop(self) -> dict[str, int]:
        """Take no more; the steps that did not get there, by generation."""
        with self.sender.lock:
            self.stopped = True
            left: dict[str, int] = {}
            for entry in self.sender.clear():
                left[entry.generation_id] = left.get(entry.generation_id, 0) + entry.steps
            for generation_id, count in self.take_back().items():
                left[generation_id] = left.get(generation_id, 0) + count
            return {generation_id: count for generation_id, count in left.items() if count}
