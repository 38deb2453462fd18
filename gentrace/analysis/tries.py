"""A run's tries and attempts in order: how each ended, and which earlier one it is like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from gentrace.analysis.parts import NEVER_RAN, SKIPPED, Parts
from gentrace.analysis.unwritten import stand_ins
from gentrace.core import names
from gentrace.core.spans import Span, nearest

_DIGITS = re.compile(r"\d+")
_WENT_WELL = (None, "succeeded")
_MUCH_LONGER, _LITTLE_NS = 3, 1_000_000_000


@dataclass(frozen=True, slots=True)
class Error:
    """What a try or an attempt failed of."""

    code: str | None
    type: str | None
    message: str | None

    @property
    def kind(self) -> tuple[str, ...]:
        """The same for errors that differ in numbers only: an id, a duration."""
        return tuple(_DIGITS.sub("#", word or "") for word in (self.code, self.type, self.message))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A submission to the provider.

    Attributes:
        number: from 1, over the whole run.
        status: the provider's last word on it, where one was read.
        like: the number of the first attempt that went alike; 0 for the first of its kind.
    """

    number: int
    span: Span
    status: str | None
    error: Error | None
    like: int = 0


@dataclass(frozen=True, slots=True)
class Try:
    """One start of the run's own job, by ARQ or after a requeue.

    Attributes:
        number: from 1, over the whole run; ARQ counts a requeued job anew.
        status, reason: what the host's job returned.
        outcome: what ARQ made of it.
        attempts: the submissions made in it.
        like: the number of the first try that went alike; 0 for the first of its kind.
    """

    number: int
    span: Span
    status: str | None
    reason: str | None
    outcome: str | None
    error: Error | None
    attempts: Sequence[Attempt] = field(default=())
    like: int = 0


def tries(parts: Parts) -> list[Try]:
    """The tries by start, those not written yet and those that ARQ refused to run among them."""
    jobs = [*parts.named(names.PROCESS_GENERATION)]
    jobs += [s for s in stand_ins(parts.spans) if s.name == names.PROCESS_GENERATION]
    jobs = [job for job in jobs if job.text(names.JOB_STATUS) != SKIPPED]
    jobs.sort(key=lambda span: span.start_ns)
    attempts = _attempts(parts, jobs)
    found: list[Try] = []
    first: dict[object, list[Try]] = {}
    for number, job in enumerate(jobs, 1):
        made = _try(parts, number, job, attempts.get(job.span_id, ()))
        like = _like(first.setdefault(_kind(made), []), made)
        found.append(replace(made, like=like))
    return found


def _try(parts: Parts, number: int, job: Span, attempts: Sequence[Attempt]) -> Try:
    status, reason = job.text(names.JOB_STATUS), job.text(names.JOB_REASON)
    outcome = job.text(names.JOB_OUTCOME)
    ill = job.failed or reason or outcome not in _WENT_WELL or status == names.FAILED
    error = _error(job, _own(parts, job)) if ill else None
    return Try(number, job, status, reason, outcome, error, attempts)


def _attempts(parts: Parts, jobs: Sequence[Span]) -> dict[str, list[Attempt]]:
    """The attempts by the id of the try that made them."""
    said = _provider_said(parts)
    found: dict[str, list[Attempt]] = {}
    first: dict[object, list[Attempt]] = {}
    parents = {span.span_id: span.parent_id for span in parts.spans}
    made_in = nearest(parents, {job.span_id: job.span_id for job in jobs})
    for number, execute in enumerate(parts.executes, 1):
        job = made_in.get(execute.span_id, "")
        status = said.get(execute.span_id) or said.get(execute.text(names.PROVIDER_JOB_ID) or "")
        error = _error(execute, _own(parts, execute)) if execute.failed else None
        before = first.setdefault((job, status, error.kind if error else None), [])
        like = next((one.number for one in before if _as_long(one.span, execute)), 0)
        made = Attempt(number, execute, status, error, like)
        found.setdefault(job, []).append(made)
        if not like:
            before.append(made)
    return found


def _provider_said(parts: Parts) -> dict[str, str]:
    """The provider's last word, by the execute's id and by the provider's job."""
    found: dict[str, str] = {}
    for span in (*parts.polls, *parts.named(names.PROVIDER_WAIT)):
        status = span.text(names.PROVIDER_STATUS)
        for key in (span.text(names.PROVIDER_JOB_ID), span.parent_id):
            if status and key:
                found[key] = status
    return found


def _own(parts: Parts, top: Span) -> list[Span]:
    """The spans of that work itself: not of what it enqueued, nor of what came when it was over."""
    found: list[Span] = []
    waiting = [top]
    while waiting:
        span = waiting.pop()
        found.append(span)
        if span.kind != "PRODUCER":
            children = parts.children(span)
            waiting += [c for c in children if top.open or c.start_ns <= top.end_ns]
    return found


def _error(top: Span, spans: Iterable[Span]) -> Error | None:
    """The error of the last failure that began in these spans; None where nothing failed."""
    failed = [span for span in spans if span.failed and span.kind not in ("CLIENT", "SERVER")]
    above = {span.parent_id for span in failed if span is not top}
    began = [span for span in failed if span.span_id not in above]
    if not began:
        return None
    last = max(began, key=lambda span: span.last_ns)
    told = (event.attributes.get("exception.message") for event in last.events)
    message = last.status_message or next((str(text) for text in told if text), None)
    known = {span.span_id: span for span in failed}
    code = None
    at: Span | None = last
    while at is not None and code is None:
        code, at = at.text(names.ERROR_CODE), known.pop(at.parent_id, None)
    return Error(code, last.text(names.ERROR_TYPE), message)


def _kind(made: Try) -> object:
    attempts = tuple((a.status, a.error.kind if a.error else None) for a in made.attempts)
    error = made.error.kind if made.error else None
    return made.status, made.reason, made.outcome, error, attempts


def _like(before: list[Try], made: Try) -> int:
    """The first try of that kind, unless this one took much longer; it joins them if there is none.

    One that has not ended, or that ARQ did not run, is like no other.
    """
    if made.span.open or made.outcome in NEVER_RAN:
        return 0
    alike = [one for one in before if _as_long(one.span, made.span)]
    if alike:
        return alike[0].number
    before.append(made)
    return 0


def _as_long(one: Span, later: Span) -> bool:
    """Whether the later one is told by the first: it did not take much longer."""
    more_ns = later.duration_ns - one.duration_ns
    return more_ns <= _LITTLE_NS or later.duration_ns <= one.duration_ns * _MUCH_LONGER
