"""What a generation that goes on is waiting for, from the run store's records alone.

A pure function over what :mod:`gentrace.sources.live_store` reads; no span is needed, so that it
answers while nothing has ended yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gentrace.core.run.times import State
from gentrace.sources.live_store import LiveProcess, StoredRun

DEAD_AFTER_S = 45.0
"""Three signs of life that did not come."""
QUEUED_S = 5.0
"""On the queue for less, nothing is wrong."""
UNPOLLED_S = 35.0
"""Pollers that adapt their pace, and the 15 s until their record tells."""
SILENT_S = 15.0
"""A provider that lets a question wait for as long does not answer."""

NOT_RUNNING, BUSY, DIED = "worker_not_running", "worker_busy", "worker_died"
NOT_POLLED, SILENT, RENDERING = (
    "poller_not_running",
    "provider_not_responding",
    "provider_still_running",
)
RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Now:
    """What holds a generation up now.

    Attributes:
        verdict: a word of ``gentrace why``.
        evidence: sentences that it rests on.
        instances: the processes that they speak of.
    """

    verdict: str
    evidence: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


def what_holds_it(run: StoredRun, processes: Iterable[LiveProcess], now_s: float) -> Now:
    """Why that run is where it is.

    Args:
        processes: all that the store knows of, alive or not.
        now_s: Unix time by the clock of the machine that the processes run on.
    """
    known = list(processes)
    dead = [p for p in known if is_dead(p, now_s)]
    workers = [p for p in known if p.role == "worker" and not p.ended and not is_dead(p, now_s)]
    if not run.state:
        return Now(RUNNING, (f"its status is {run.status or 'not known'}",))
    left = _left_behind(run, dead, workers)
    if left is not None:
        return left
    if not workers:
        return Now(NOT_RUNNING, ("no traced worker gives a sign of life",))
    if run.state == State.PROVIDER_RUN:
        return _at_the_provider(run, workers, now_s)
    if run.state == State.PROVIDER_SUBMIT and now_s - run.since_s > SILENT_S:
        text = f"its submission has not been answered for {now_s - run.since_s:.0f} s"
        return Now(SILENT, (text,), tuple(run.at_work))
    if run.state == State.QUEUE and now_s - run.since_s > QUEUED_S:
        return _on_the_queue(run, workers, now_s)
    return Now(RUNNING, (f"{run.state} for {now_s - run.since_s:.0f} s",))


def is_dead(process: LiveProcess, now_s: float) -> bool:
    """Whether it went without a word."""
    return not process.ended and (process.died or now_s - process.last_s > DEAD_AFTER_S)


def _left_behind(
    run: StoredRun, dead: Sequence[LiveProcess], workers: Sequence[LiveProcess]
) -> Now | None:
    """Who worked on it is gone, and nobody else has it in hand."""
    gone = {p.instance for p in dead}
    if any(_in_hand(p, run.generation_id) for p in workers):
        return None
    left = [instance for instance in run.at_work if instance in gone]
    left += [p.instance for p in dead if _in_hand(p, run.generation_id)]
    if not left and run.state == State.UNEXPLAINED and "worker_died" in run.incomplete:
        left = [instance for instance in run.processes if instance in gone]
    if not left:
        return None
    text = f"process {left[0]} had it in hand and has given no sign of life since"
    return Now(DIED, (text,), tuple(dict.fromkeys(left)))


def _in_hand(process: LiveProcess, generation_id: str) -> list[Mapping[str, Any]]:
    jobs = process.part("jobs").values()
    return [job for job in jobs if str(job.get("generation_id")) == generation_id]


def _on_the_queue(run: StoredRun, workers: Sequence[LiveProcess], now_s: float) -> Now:
    full = [p for p in workers if 0 < _most(p) <= len(p.part("jobs"))]
    waited = f"on the queue for {now_s - run.since_s:.0f} s"
    if len(full) < len(workers):
        return Now(RUNNING, (waited, "a worker has room"))
    hands = [f"{len(p.part('jobs'))} of {_most(p)} jobs in hand at {p.instance}" for p in full]
    return Now(BUSY, (waited, *hands), tuple(p.instance for p in full))


def _most(process: LiveProcess) -> int:
    given = process.record.get("max_jobs")
    return given if isinstance(given, int) else 0


def _at_the_provider(run: StoredRun, workers: Sequence[LiveProcess], now_s: float) -> Now:
    polls = [
        (p.instance, p.part("awaited")[run.generation_id])
        for p in workers
        if run.generation_id in p.part("awaited")
    ]
    answered_s = max((_at(each.get("last_poll")) for _, each in polls), default=0.0)
    for instance, each in polls:
        asking_s, failed_s = _at(each.get("asking_since")), _at(each.get("last_error_at"))
        told_s = next((p.last_s for p in workers if p.instance == instance), now_s)
        if asking_s > answered_s and max(now_s, told_s) - asking_s > SILENT_S:
            text = f"a question to the provider is open for {now_s - asking_s:.0f} s"
            return Now(SILENT, (text,), (instance,))
        if failed_s > answered_s and now_s - failed_s < UNPOLLED_S:
            text = f"the provider's last answer was {each.get('last_error')}"
            return Now(SILENT, (text,), (instance,))
    if now_s - max(answered_s, run.since_s) > UNPOLLED_S:
        last = f"the last was {now_s - answered_s:.0f} s ago" if answered_s else "there was none"
        return Now(NOT_POLLED, (f"no poll for it: {last}", *_crons(workers, now_s)))
    if answered_s:
        instance, each = max(polls, key=lambda found: _at(found[1].get("last_poll")))
        text = f"{each.get('polls')} polls, the last said {each.get('provider_status')}"
        return Now(RENDERING, (text,), (instance,))
    return Now(RUNNING, ("submitted, not polled yet",))


def _crons(workers: Sequence[LiveProcess], now_s: float) -> list[str]:
    """What the cron jobs did last, for who looks for the one that polls."""
    return [
        f"{name} ticked {now_s - _at(ticks.get('last_tick')):.0f} s ago"
        + (f", and failed with {ticks['last_error']}" if ticks.get("last_error") else "")
        for process in workers
        for name, ticks in process.part("crons").items()
    ]


def _at(text: Any) -> float:
    """An ISO-8601 time as Unix time, 0 where there is none."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
