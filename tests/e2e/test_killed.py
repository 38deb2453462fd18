"""Workers are killed again and again: every end is told, and nothing hangs in the air."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e import reading
from tests.support.otlp_receiver import Span, receiver
from tests.support.programs import Program
from tests.support.small_host import FINAL, FOLDER, SmallHost, small_host

SHORTENED = Path(__file__).parents[1] / "support" / "shortened"
RUNS = "gentrace.runtime.store"
TIMES = {
    "gentrace.runtime.liveness:EVERY_S": 0.5,
    f"{RUNS}.dead:DEAD_AFTER_S": 3,
    f"{RUNS}.dead:AWAY_S": 1.5,
    f"{RUNS}.store:REGULAR_S": 0.5,
    f"{RUNS}.settle:REGULAR_S": 0.5,
    f"{RUNS}.dead:REGULAR_S": 0.5,
    f"{RUNS}.settle:LEASE_S": 3,
    f"{RUNS}.settle:AGAIN_S": 1,
    f"{RUNS}.settle:TOLD_S": 3,
    f"{RUNS}.store:CLOCK_S": 1,
}
REAL = os.environ.get("GENTRACE_TEST_REAL_TIMES") == "1"
"""By hand: the times as they are, and 75 s until nothing hangs in the air."""
WITHIN_S = 75.0 if REAL else 15.0
LONGEST_S = 240.0 if REAL else 120.0
SETTLED_S = 45.0
"""What has just ended settles for 2 s, and leaves; later on a machine that is busy."""
BEHIND_S = "0.03"
"""So much later does the worker that dies write each change of a run: it takes some along."""
GENERATIONS, AT_ONCE = 200, 20
FATES = [
    *["a quiet one"] * 10,
    "BADPROMPT",
    "FILTER1",
    "RETRYFILTER1",
    "BOOM",
    "CONC1",
    "SESSION1",
    "SLOWSUBMIT",
    "SLOWRENDER",
    "FILTER",
    "CANCEL SLOWRENDER",
]
HOST = {
    "GENTRACE": "1",
    "ARQ_JOB_TIMEOUT_S": "20",  # a job cancelled at SQLite leaves it locked
    "ARQ_MAX_JOBS": "20",
    "ACCOUNT_COUNT": "4",
    "ACCOUNT_SLOTS": "40",
    "UNSUBMITTED_TIMEOUT_S": "6",
    "REQUEUE_AFTER_S": "8",
    "GENERATION_ENQUEUE_LEASE_TTL_SECONDS": "6",
    "CANCEL_GRACE_S": "1",
    "AUTO_RETRY_MAX_ATTEMPTS": "1",
    "STANDIN_SLOW_RENDER_S": "3",
    "STANDIN_SLOW_SUBMIT_S": "1",
    "PYTHONPATH": os.pathsep.join([str(SHORTENED), str(FOLDER)]),
}


@pytest.mark.alone  # it keeps all cores busy itself, and its times are shortened
def test_every_end_is_told_whoever_dies(
    tmp_path: Path, anything_failed: Callable[[], bool]
) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    with receiver() as received:
        env = {**HOST, "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
        if not REAL:
            env["GENTRACE_TEST_TIMES"] = " ".join(f"{k}={v}" for k, v in TIMES.items())
        dying = {"GENTRACE_TEST_DEATH": str(deaths), "GENTRACE_TEST_BEHIND": BEHIND_S}
        with small_host(env, workers=1, failed=anything_failed) as host:
            victim = host.start_worker(dying)
            host.wait_ready()
            load = Load(host)
            for moment, after in (("claimed", 30), ("any", 80), ("settling", 130)):
                load.until(after)
                want(victim, deaths, moment)
                last = load.until_dead(victim)
                victim = host.start_worker(dying)
            load.until(GENERATIONS)
            load.until_over()

            def told(spans: Sequence[Span]) -> bool:
                # a busy API may put a failed one back late: what counts is what is so by now
                over, found = load.over(), ends(spans)
                same = all(outcome(found[i]) == over.get(i) for i in load.made if i in found)
                return same and len(found) == GENERATIONS and not reading.orphans(spans)

            left_s = max(SETTLED_S, last + WITHIN_S - time.monotonic())
            try:
                spans = received.wait_for(told, left_s)
            except TimeoutError:
                spans = received.spans()
            over = load.until_over()
        assert not missing(spans, over), missing(spans, over)
        assert not reading.orphans(spans), hanging(spans)
        for generation_id, found in ends(spans).items():
            one_end(found, over[generation_id])
        same_id_same_span(spans)


class Load:
    """Keeps so many generations under way at once; looks at the host's database, not its API."""

    def __init__(self, host: SmallHost) -> None:
        self.host = host
        self.made: list[str] = []
        self._over: dict[str, tuple[str, float]] = {}

    def until(self, made: int) -> None:
        """Submit until there are that many."""
        end = time.monotonic() + LONGEST_S
        while len(self.made) < made:
            assert time.monotonic() < end, f"{len(self.made)} made, {len(self.over())} over"
            self._go_on()

    def until_dead(self, victim: Program) -> float:
        """... until that worker is; returns when that was."""
        end = time.monotonic() + LONGEST_S
        while victim.alive:
            assert time.monotonic() < end, "it lives"
            self._go_on()
        return time.monotonic()

    def until_over(self) -> dict[str, str]:
        """Wait for all; the status of each."""
        end = time.monotonic() + LONGEST_S
        while len(over := self.over()) < len(self.made):
            assert time.monotonic() < end, self._statuses()
            time.sleep(0.1)
        return over

    def _go_on(self) -> None:
        if len(self.made) - len(self.over()) >= AT_ONCE or len(self.made) >= GENERATIONS:
            time.sleep(0.05)
            return
        fate = FATES[len(self.made) % len(FATES)]
        self.made.append(self.host.submit(f"{fate} number {len(self.made)}"))
        if "CANCEL" in fate:
            self.host.cancel(self.made[-1])

    def over(self) -> dict[str, str]:
        """The generations that have ended, for good: `failed` may be put back within a moment."""
        now, found = time.monotonic(), self._statuses()
        self._over = {
            i: self._over[i] if self._over.get(i, ("",))[0] == status else (status, now)
            for i, status in found.items()
            if status in FINAL
        }
        return {i: s for i, (s, at) in self._over.items() if s == "completed" or now - at > 0.8}

    def _statuses(self) -> dict[str, str]:
        with closing(
            sqlite3.connect(f"file:{self.host.folder / 'host.db'}?mode=ro", uri=True)
        ) as db:
            found = db.execute("SELECT id, status FROM generations").fetchall()
        return {str(i): status.lower() for i, status in found}


def want(victim: Program, deaths: Path, moment: str) -> None:
    """Have the worker die at that moment, or now."""
    if moment == "any":
        victim.send(signal.SIGKILL)
    else:
        (deaths / moment).touch()


def ends(spans: Iterable[Span]) -> dict[str, list[Span]]:
    """The run spans of each generation."""
    found: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span["name"] == "generation":
            found[span["attributes"]["generation.id"]].append(span)
    return dict(found)


def missing(spans: Sequence[Span], ids: Iterable[str]) -> dict[str, list[str]]:
    """What there is of the generations without a run span."""
    without = set(ids) - ends(spans).keys()
    return {
        i: sorted(s["name"] for s in spans if s["attributes"].get("generation.id") == i)
        for i in without
    }


def hanging(spans: Sequence[Span]) -> list[str]:
    """The spans whose parent is nowhere, for a failure's message."""
    lost = {parent for _, parent in reading.orphans(spans)}
    return [
        f"{s['name']} of {s['attributes'].get('generation.id')} in {s['resource']['process.pid']}"
        for s in spans
        if s["parent_span_id"] in lost
    ]


def one_end(found: Sequence[Span], status: str) -> None:
    """One span a run, however often it was written; the last run's outcome is the host's."""
    by_run: dict[int, set[str]] = defaultdict(set)
    for span in found:
        by_run[span["attributes"]["generation.run"]].add(span["span_id"])
    assert all(len(each) == 1 for each in by_run.values())
    assert outcome(found) == status, found
    last = newest(found)
    times = [v for k, v in last["attributes"].items() if k.startswith("generation.time.")]
    assert all(each >= 0 for each in times)
    lasted_s = (last["end_ns"] - last["start_ns"]) / 1e9
    assert sum(times) == pytest.approx(lasted_s, abs=1e-5)


def newest(found: Sequence[Span]) -> Span:
    """The span of a generation's last run; of one that was written again, as readers take it."""
    return max(found, key=lambda span: (span["attributes"]["generation.run"], span["end_ns"]))


def outcome(found: Sequence[Span]) -> str:
    """How the generation's last run ended."""
    return str(newest(found)["attributes"]["generation.outcome"])


def same_id_same_span(spans: Sequence[Span]) -> None:
    """A span that came more than once is the same span."""
    often = Counter((s["trace_id"], s["span_id"]) for s in spans)
    for (trace_id, span_id), count in often.items():
        if count > 1:
            same = [s for s in spans if (s["trace_id"], s["span_id"]) == (trace_id, span_id)]
            assert len({(s["name"], s["parent_span_id"], s["start_ns"]) for s in same}) == 1
