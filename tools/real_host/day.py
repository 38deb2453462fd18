"""One day of the host: what was asked of it, and what ought to have come of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from gentrace.core.names import STARTUP
from tests.e2e import reading, run_reading
from tests.support.otlp_receiver import Span
from tools.real_host.host import FINAL, RealHost, wait_until

EMAIL, TOKEN, WORD = "jane.roe@private.test", "sk-live-Zq81v0XyTT9932Wn", "marmaladefoxglove"
SECRETS = (EMAIL, TOKEN, WORD)
"""Planted in every prompt; nothing that gentrace writes may hold one."""
WRITTEN_S = 25.0
LATE_STATUS_S = 4.0  # after that long a final status has settled


@dataclass
class Case:
    """A generation that was asked for.

    Attributes:
        expected: `generation.<name>` of the last run, and the values that it may have.
        asked_s: when the request was sent; None where a worker made the generation.
        runs: how many runs it should have.
        requested: a request made it, and no worker.
        killed: a process was killed meanwhile.
        busy: many more were under way.
        at_most: how long the last run may have been in a state, in seconds.
        received: its spans, where they are not in the spool.
    """

    scenario: str
    generation_id: str
    prompt: str
    asked_s: float | None
    expected: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    runs: int = 1
    requested: bool = True
    killed: bool = False
    busy: bool = False
    at_most: dict[str, float] = field(default_factory=dict[str, float])
    received: list[Span] | None = None
    note: str = ""


class Day:
    """What scenarios have at hand.

    Attributes:
        modern: the host requeues, retries in place and configures itself from its database.
        remarks: what is no row of the table.
        hosts_headers: how many requests at the provider had trace headers of the host's own.
    """

    def __init__(self, host: RealHost) -> None:
        self.host = host
        self.cases: list[Case] = []
        self.hosts_headers = 0
        self.remarks: list[str] = []
        self.modern = (
            host.checkout / "pixsim7/backend/main/services/generation/generation_settings.py"
        ).exists()

    def prompt(self, words: str) -> str:
        """A prompt of its own, with the words that steer the stand-in and the planted secrets."""
        return f"{words} a harbour {secrets.token_hex(4)} {WORD} {EMAIL} {TOKEN}"

    def ask(self, scenario: str, words: str = "", **expected: Any) -> Case:
        """Asks for a generation; it is a row of the table."""
        prompt, asked_s = self.prompt(words), time.time()
        generation_id = self.host.submit(prompt)
        case = Case(scenario, generation_id, prompt, asked_s)
        self.expect(case, **expected)
        self.cases.append(case)
        return case

    def expect(self, case: Case, **expected: Any) -> None:
        """What the run span is to say: a value, or a tuple of values."""
        wanted = {k: v if isinstance(v, tuple) else (v,) for k, v in expected.items()}
        case.expected = wanted

    def ask_many(self, scenario: str, count: int, at_once: int) -> list[Case]:
        """Many at a time. They are not in the way of each other; each is its own row."""

        def one(_: int) -> Case:
            return self.ask(scenario, outcome="completed", attempts=1)

        with ThreadPoolExecutor(at_once) as threads:
            cases = list(threads.map(one, range(count)))
        for case in cases:
            case.asked_s = None  # a busy API takes a request when it comes to it
            case.busy = True
        return cases

    def configure(self, **settings: Any) -> None:
        """Changes the host's own settings, where it has them in its database."""
        if self.modern:
            self.host.ask("PATCH", "/api/v1/admin/generation/config", settings)

    def rest(self) -> None:
        """Gives every account its slots, its credits and its good name back."""
        self.host.database.set_accounts("active")
        self.host.database.run(
            "UPDATE provider_accounts SET cooldown_until = NULL, current_processing_jobs = 0"
        )
        self.host.database.run("UPDATE provider_credits SET amount = 1000")

    @contextmanager
    def without_workers(self, again: int = 2) -> Generator[None]:
        """No worker runs for the length of the block; then so many are started."""
        self.host.stop_workers()
        yield
        self.host.start_workers(again)

    def made_with(self, prompt: str) -> str | None:
        """The generation that a worker made with that prompt."""
        mark = prompt.split()[-4]
        rows = self.host.database.run(
            "SELECT id FROM generations WHERE canonical_params::text LIKE %s", f"%{mark}%"
        )
        return str(rows[0][0]) if rows else None

    # -- the end of the day ----------------------------------------------------------------
    def written(self, cases: Sequence[Case], timeout: float = WRITTEN_S) -> bool:
        """Waits until the runs of all that are over have been written; False when they are not."""
        for case in cases:
            if case.runs == 0 and self.host.database.status(case.generation_id) in FINAL:
                case.runs = 1  # after all
        there = [case for case in cases if case.received is None]
        over = [c for c in there if self.host.database.status(c.generation_id) in FINAL]
        wanted = {case.generation_id: case.runs for case in over}
        with suppress(TimeoutError):
            wait_until(lambda: run_reading.spool_has(self.host.spool, wanted), "written", timeout)
            return True
        return False

    def wait_died(self, case: Case) -> None:
        """Waits until somebody has written what the killed worker had open."""

        def written() -> bool:
            spans = reading.spooled_of(self.host.spool, case.generation_id)
            return any(s["attributes"].get("error.type") == "worker_died" for s in spans)

        wait_until(written, "the dead worker's spans are written", 120)

    def silence(self, seconds: float, quiet_s: float = 20.0) -> None:
        """Waits for quiet, then counts the spans of an idle host."""
        deadline = time.monotonic() + 120
        count, since = -1, time.monotonic()
        while time.monotonic() - since < quiet_s and time.monotonic() < deadline:
            if (now := self._spans()) != count:
                count, since = now, time.monotonic()
            time.sleep(1)
        before = self._spans()
        time.sleep(seconds)
        made = self._spans() - before
        alive = [program.name for program in self.host.programs if program.alive]
        self.remarks.append(f"idle {seconds:.0f} s with {', '.join(alive)}: {made} spans")

    def _spans(self) -> int:
        return sum(span["name"] != STARTUP for span in reading.spooled(self.host.spool))


Scenario = Callable[[Day], None]
