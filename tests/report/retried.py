"""Runs that were tried more than once, made up: by ARQ, by requeues, within one try."""

from __future__ import annotations

from typing import Any

from gentrace.core import names
from gentrace.core.spans import Span
from tests.core.traces import START, Tracer

API: dict[str, Any] = {"service": "api"}
FAILED_EXECUTE = {"error_type": "ProviderError", "submission_id": 7}


def begun(seed: str, generation: str = "41") -> tuple[Tracer, Span]:
    """A run up to its first enqueue."""
    t = Tracer(seed, generation, START)
    answered: dict[str, Any] = {"http__request__method": "POST", "http__response__status_code": 201}
    server = t.span("POST /api/v1/generations", 0, 60, kind="SERVER", **answered, **API)
    create = t.span("create_generation", 4, 55, server, **API)
    return t, t.span("enqueue process_generation", 50, 54, create, kind="PRODUCER", **API)


def job(t: Tracer, start_ms: float, end_ms: float, parent: Span, **told: Any) -> Span:
    """One try, with what the host logs as it begins."""
    events = [("pipeline:start", start_ms + 1, {"job_try": 1}), *told.pop("events", ())]
    of_job = ("outcome", "status", "reason", "try")
    told = {f"generation__job__{k}" if k in of_job else k: value for k, value in told.items()}
    made = t.span("process_generation", start_ms, end_ms, parent, kind="CONSUMER",
                  events=events, **told)  # fmt: skip
    t.sql(made, start_ms + 2, 6)
    t.span("account.select", start_ms + 10, start_ms + 20, made, generation__account__id="2")
    return made


def refused(t: Tracer, start_ms: float, end_ms: float, parent: Span, number: int) -> Span:
    """A submission that the provider answered with 502."""
    events = [
        ("provider_execute_started", start_ms + 1, {"submission_id": number}),
        ("provider_execute_failed", end_ms - 1, FAILED_EXECUTE),
    ]
    execute = t.span("provider.execute", start_ms, end_ms, parent, error="ProviderError",
                     events=events, generation__attempt=number)  # fmt: skip
    t.span("pixverse.execute", start_ms + 2, end_ms - 2, execute, error="x.PixverseAPIError",
           message=f"HTTP 502 after {number * 7} ms", generation__error__code="502")  # fmt: skip
    return execute


def by_arq(tries: int = 5) -> Tracer:
    """Every try raises, and ARQ runs the job again; the last one fails the generation."""
    t, enqueue = begun("by_arq")
    for number in range(1, tries + 1):
        at = 500.0 + 2000 * (number - 1)
        last = number == tries
        failed = ("generation_processing_failed", at + 395, {"error_type": "ProviderError"})
        made = job(t, at, at + 400, enqueue, events=[failed], error="ProviderError",
                   outcome="failed" if last else "retry", **{"try": number})  # fmt: skip
        refused(t, at + 30, at + 300, made, number)
        if not last:
            t.span("retry.wait", at + 400, at + 2000, enqueue, service="runs")
        else:
            change = {"status": "failed", "status__previous": "processing", "outcome": "failed"}
            told: dict[str, Any] = {f"generation__{key}": v for key, v in change.items()}
            t.span("generation.finish", at + 310, at + 350, made, **told)
    return t


def by_requeues(pairs: int = 3) -> Tracer:
    """No quota, no account, and again: each try hangs under the enqueue in the one before it."""
    t, enqueue = begun("by_requeues", "42")
    at = 500.0
    for number in range(1, pairs + 1):
        made = job(t, at, at + 400, enqueue, outcome="succeeded", status="requeued",
                   reason="account_quota_exhausted")  # fmt: skip
        refused(t, at + 30, at + 300, made, number)
        enqueue = t.span("enqueue process_generation", at + 390, at + 395, made, kind="PRODUCER")
        t.span("queue.wait", at + 395, at + 800, enqueue, service="runs")
        made = job(t, at + 800, at + 900, enqueue, outcome="succeeded", status="requeued",
                   reason="account_capacity_wait")  # fmt: skip
        t.span("account.select", at + 830, at + 850, made, error="NoAccountAvailableError")
        enqueue = t.span("enqueue process_generation", at + 890, at + 895, made, kind="PRODUCER",
                         generation__enqueue__defer_s=1.0)  # fmt: skip
        t.span("account.wait", at + 895, at + 2000, enqueue, service="runs")
        at += 2000
    paused = {"concurrent_jobs": 4, "stagger_seconds": 2.4, names.PAUSE: 2.4}
    made = job(t, at, at + 6000, enqueue, outcome="succeeded", status="submitted",
               events=[("dispatch_stagger", at + 40, paused)])  # fmt: skip
    job_id: dict[str, Any] = {"generation__provider__job_id": "p-9"}
    execute = t.span("provider.execute", at + 2450, at + 5900, made, **job_id)
    t.span("pixverse.execute", at + 2460, at + 2600, execute)
    t.span("provider.wait", at + 5900, at + 9000, execute, service="runs",
           generation__provider__status="completed", **job_id)  # fmt: skip
    return t


def by_attempts(attempts: int = 4) -> Tracer:
    """One try submits until the provider takes it."""
    t, enqueue = begun("by_attempts", "43")
    made = job(t, 500, 500 + 1000.0 * attempts, enqueue, outcome="succeeded", status="submitted")
    for number in range(1, attempts):
        refused(t, 500 + 400 * number, 700 + 400 * number, made, number)
    at = 500.0 + 400 * attempts
    t.span("provider.execute", at, at + 300, made, generation__provider__job_id="p-9")
    return t
