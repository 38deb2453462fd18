"""One drawn run of ``drifting.py`` as the spans that the host's processes would have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gentrace.analysis import grouping
from gentrace.analysis.compare import read
from gentrace.analysis.compare.model import RunRow
from gentrace.core.spans import Span, Trace
from tests.core.traces import START, Tracer


@dataclass
class Request:
    """What was asked, and what is known of it before anything happens.

    Attributes:
        at_s: seconds since the start of the window.
        part: the same as a share of the window.
        rank: which share of the requests came before it.
        worker: the process that will take the job.
        noted: attributes of the host's own.
    """

    number: int
    at_s: float
    part: float
    rank: float
    provider: str
    model: str
    account: str
    operation: str
    user: str
    version: str
    worker: str
    noted: dict[str, Any]


@dataclass
class Fate:
    """How it went.

    Attributes:
        times: seconds by state; they sum to the run's duration.
        outcome: completed, failed, cancelled, refused; None where it has not ended.
        error: code, type and stage of a failure.
    """

    times: dict[str, float] = field(default_factory=dict[str, float])
    outcome: str | None = "completed"
    tries: int = 1
    error: tuple[str, str, str] | None = None


def trace_of(seed: str, request: Request, fate: Fate) -> Trace:
    """The trace of one request: refused, open, or with its run span."""
    generation = str(7000 + request.number)
    refused = fate.outcome == "refused"
    start_ns = START + int(request.at_s * 1e9)
    t = Tracer(f"{seed} {request.number}", None if refused else generation, start_ns)
    asked: dict[str, Any] = {
        "generation__operation": request.operation,
        "generation__provider": request.provider,
        "generation__model": request.model,
        "generation__user__id": request.user,
    }
    api_ms = 1000 * fate.times["api"]
    server = t.span(
        "POST /api/v1/generations", 0, api_ms + 4, kind="SERVER", service="api",
        http__route="/api/v1/generations", http__request__method="POST",
        http__response__status_code=422 if refused else 201,
    )  # fmt: skip
    create = t.span(
        "create_generation", 2, api_ms, server, service="api",
        error="InvalidParametersError" if refused else "", **asked,
    )  # fmt: skip
    if not refused:
        t.span("enqueue process_generation", api_ms / 2, api_ms, create,
               kind="PRODUCER", service="api")  # fmt: skip
        _job(t, request, fate, create)
        if fate.outcome is not None:
            _run(t, request, fate, server, asked)
    return Trace(t.trace_id, tuple(t.spans))


def _job(t: Tracer, request: Request, fate: Fate, create: Span) -> None:
    """The last try, and the submission in it."""
    waits = ("api", "queue", "account_wait", "retry_wait")
    from_ms = 1000 * sum(fate.times.get(name, 0.0) for name in waits)
    over_ms = from_ms + 1000 * (fate.times["worker"] + fate.times["provider_submit"])
    error = fate.error[1] if fate.error is not None and fate.error[2] == "submitted" else ""
    job = t.span(
        "process_generation", from_ms, over_ms, create, kind="CONSUMER", error=error,
        generation__job__try=fate.tries,
    )  # fmt: skip
    t.span(
        "provider.execute", from_ms + 1000 * fate.times["worker"], over_ms, job, error=error,
        generation__provider=request.provider, generation__account__id=request.account,
        generation__model=request.model, generation__attempt=fate.tries,
    )  # fmt: skip


def _run(t: Tracer, request: Request, fate: Fate, server: Span, asked: dict[str, Any]) -> None:
    times = {f"generation__time__{name}_s": spent for name, spent in fate.times.items()}
    code, kind, stage = fate.error or ("", "", "")
    told: dict[str, Any] = {"generation__error__code": code} if code else {}
    if fate.outcome == "completed":
        stage = "finished"
    t.span(
        "generation", 0, 1000 * sum(fate.times.values()), server, service="runs", error=kind,
        generation__run=1, generation__outcome=fate.outcome, generation__stage=stage or "provider",
        generation__account__id=request.account, generation__code__version=request.version,
        generation__dedup="miss", generation__cache="off", generation__tries=fate.tries,
        generation__attempts=fate.tries, generation__polls=int(sum(fate.times.values()) / 8),
        gentrace__processes=["api-1", f"worker-{request.worker}"],
        **asked, **times, **told,
        **{name.replace(".", "__"): value for name, value in request.noted.items()},
    )  # fmt: skip


def rows(traces: Sequence[Trace]) -> list[RunRow]:
    """The runs as a source that gives traces is read; requests that made none are left out."""
    return read.rows(grouping.runs(traces), max(trace.end_ns for trace in traces))
