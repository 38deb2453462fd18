"""What became of one try of a job, read from what the worker did with it.

A job that never ran is told apart by where the worker gave it up: its payload was gone (expired),
could not be read (corrupt), or the result that was made for it says why. Nothing is logged twice,
read twice or asked of Redis for this.

Observed on: arq 0.25 to 0.28.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanContext

from gentrace.runtime.context import Run, Scope
from gentrace.runtime.store.steps import Enqueued

SUCCEEDED, FAILED, RETRY, INTERRUPTED, ABORTED, TIMEOUT = (
    "succeeded",
    "failed",
    "retry",
    "interrupted",
    "aborted",
    "timeout",
)
NOT_FOUND, MAX_TRIES, EXPIRED, CORRUPT = "not_found", "max_tries", "expired", "corrupt"
ERRORS = frozenset({FAILED, TIMEOUT, NOT_FOUND, MAX_TRIES, EXPIRED, CORRUPT})
_CONTROL = {"Retry": RETRY, "RetryJob": RETRY}


@dataclass(eq=False, slots=True)
class Job:
    """One try of one job, from the worker's reading it to its end.

    Attributes:
        read: its payload was there and could be read.
        corrupt: its payload was there and could not.
        cron: its name as a cron job; empty where it is none.
        alias: an id of what its generation made, where it knows no other.
        sent: the span that it was enqueued under.
        arrived: the context that it starts in.
        started: its function was called.
        refused: the worker gave it up before that.
        refusal: the exception that the worker made its result of then.
        cancelled: it was cancelled from outside, rather than raising CancelledError itself.
        stopping: the worker itself was being stopped.
        again: what it put on a queue of its own run.
        attempts: the run's submissions before it.
        began_ns: when its function was called.
        finished: ARQ took it off the queue (True), or leaves it there to be run again.
    """

    job_id: str
    worker: Any
    function: str = ""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    cron: str = ""
    generation_id: str | None = None
    alias: str | None = None
    carried: bool = False
    sent: SpanContext | None = None
    arrived: otel_context.Context = field(default_factory=otel_context.Context)
    run: Run | None = None
    scope: Scope | None = None
    span: Span | None = None
    tried: int | None = None
    read: bool = False
    corrupt: bool = False
    started: bool = False
    refused: bool = False
    refusal: Any = None
    result: Any = None
    error: BaseException | None = None
    ended_ns: int = 0
    aborted: bool = False
    cancelled: bool = False
    stopping: bool = False
    finished: bool | None = None
    again: list[Enqueued] = field(default_factory=list["Enqueued"])
    attempts: int = 0
    began_ns: int = 0


working: ContextVar[Job | None] = ContextVar("gentrace.job", default=None)


def of(job: Job) -> str:
    """The try's outcome, as ``generation.job.outcome`` has it."""
    if not job.started:
        return _refusal(job)
    error = job.error
    if error is None:
        return SUCCEEDED
    if job.finished is not True:
        control = (_CONTROL.get(cls.__name__) for cls in type(error).__mro__)
        if (said := next(filter(None, control), None)) is not None:
            return said
        return INTERRUPTED if isinstance(error, asyncio.CancelledError) else FAILED
    if not isinstance(error, asyncio.CancelledError):
        return FAILED
    if job.aborted:
        return ABORTED
    return TIMEOUT if job.cancelled and not job.stopping else FAILED


def _refusal(job: Job) -> str:
    if not job.read:
        return CORRUPT if job.corrupt else EXPIRED
    if isinstance(job.refusal, asyncio.CancelledError):
        return ABORTED
    return MAX_TRIES if job.function in job.worker.functions else NOT_FOUND


def being_cancelled() -> bool:
    """Whether somebody has asked the task at work to stop."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
