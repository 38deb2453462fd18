"""One try of a job as a span: whose it is, where it hangs, how it ended.

The run is the store's current one, else the carrier's, else a new one. A job that ARQ can no
longer read is known by its id (runtime/runs/jobs.py); without that, as for jobs of no generation
and jobs enqueued without gentrace, an expired or corrupt one makes no span: nobody knows what it
was for.

Observed on: arq 0.25 to 0.28.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.trace import SpanKind, Status, StatusCode

from gentrace.core import names
from gentrace.runtime import carrier, context, reading
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks import arq_outcome as outcome
from gentrace.runtime.hooks.arq_outcome import Job
from gentrace.runtime.runs import jobs
from gentrace.runtime.tracing import below, link, type_name


class JobSpans:
    """What is done at each of the worker's steps; every method runs inside the guard."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    # -- before the function ---------------------------------------------------------------
    def read(self, job: Job, raw: tuple[Any, ...]) -> None:
        """The worker has read the job's payload."""
        job.read = True
        fields = carrier.incoming.get()
        job.carried = fields is not None
        job.function, job.args, job.kwargs = str(raw[0]), tuple(raw[1]), dict(raw[2])
        declared = self.engine.profile.job(job.function)
        if declared is not None:
            job.generation_id = reading.text(declared.generation_in(job.args, job.kwargs))
        job.sent, job.arrived = carrier.extract(fields), carrier.arrived(fields)

    async def find_run(self, job: Job) -> None:
        """Whose job this is: the store's current run, else the carrier's, else a new one."""
        declared = self.engine.profile.job(job.function)
        generation_id, sent, store = job.generation_id, job.sent, self.engine.store
        if generation_id is not None:
            job.run = await store.find(generation_id)
            if job.run is not None and sent is not None and sent.trace_id != job.run.trace_id:
                job.run = await store.current(generation_id, sent)
            if job.run is None and sent is None and declared is not None and declared.own:
                job.run = await store.look_again(generation_id)
            if job.run is None and declared is not None and (declared.own or sent is not None):
                job.run = Run(generation_id, parent=sent, owned=True, adopted=sent is None)
                context.remember(job.run)
        elif sent is not None:
            job.run = await store.find_by_trace(sent.trace_id)

    async def find_refused(self, job: Job) -> None:
        """As :meth:`find_run`, for a job that the worker gives up; by its id if need be."""
        if not job.read:
            kept = await jobs.find(self.engine.store, job.job_id)
            if kept is None:
                return
            job.carried = True
            job.function, job.generation_id = kept.function, kept.generation_id
            job.sent = carrier.extract(kept.fields)
        await self.find_run(job)

    def start(self, job: Job, ctx: Any) -> Any:
        """The function is about to run: open its scope and, for a generation, its span."""
        is_cron = hasattr(job.worker.functions.get(job.function), "next_run")
        name = job.function.removeprefix("cron:")
        caller = f"cron:{name}" if is_cron else f"job:{self._name(job)}"
        job.scope = Scope("job", job.run, caller)
        if isinstance(ctx, dict):
            job.tried = ctx.get("job_try")  # pyright: ignore[reportUnknownMemberType]
        if job.run is not None:
            self._start_span(job, job.run)
        return context.enter(job.scope, job.span, base=job.arrived)

    def _name(self, job: Job) -> str:
        declared = self.engine.profile.job(job.function)
        return job.function if declared is None else declared.function

    def _start_span(self, job: Job, run: Run) -> None:
        declared = self.engine.profile.job(job.function)
        own = declared is not None and declared.own
        sent = job.sent
        current = sent is not None and (run.parent is None or sent.trace_id == run.trace_id)
        parent = sent if current else run.parent
        links = [] if current or sent is None else [link(sent, names.LINK_SUPERSEDED)]
        job.span = self.engine.tracing.start(
            self._name(job),
            run,
            parent=below(parent),
            kind=SpanKind.CONSUMER,
            links=links,
            attributes={
                names.MESSAGING_SYSTEM: "arq",
                names.MESSAGING_DESTINATION: str(job.worker.queue_name),
                names.MESSAGING_OPERATION_NAME: "process",
                names.MESSAGING_OPERATION_TYPE: "process",
                names.MESSAGING_MESSAGE_ID: job.job_id,
                names.JOB_TRY: job.tried if isinstance(job.tried, int) else None,
                names.INCOMPLETE: ["adopted"] if run.adopted and own else None,
            },
        )
        if own or run.parent is None:
            run.parent = job.span.get_span_context()
            self.engine.store.save(run)

    # -- after it --------------------------------------------------------------------------
    def returned(self, job: Job, result: Any) -> None:
        """The function returned."""
        job.ended_ns, job.result = time.time_ns(), result

    def raised(self, job: Job, exc: BaseException) -> None:
        """The function raised, or was cancelled."""
        job.ended_ns, job.error = time.time_ns(), exc
        job.cancelled = outcome.being_cancelled()
        job.aborted = job.job_id in getattr(job.worker, "aborting_tasks", ())

    def refused(self, job: Job, exc: Any, tried: Any) -> None:
        """The worker makes the result of a job that it will not run."""
        if not job.started:
            job.refusal, job.tried = exc, tried

    def finished(self, job: Job, finish: bool) -> None:
        """The worker decided: over (True), or to be run again."""
        job.finished = finish

    def end(self, job: Job) -> None:
        """The try is over: say how, on its span."""
        job.stopping = outcome.being_cancelled()
        if job.scope is not None:
            job.scope.close()
        if job.finished and (job.carried or job.run is not None):
            jobs.drop(self.engine.store, job.job_id)
        if job.span is None and job.refused and job.run is not None:
            self._start_span(job, job.run)  # it never came to run
        if job.span is not None and job.run is not None:
            self._describe(job, job.run, job.span)
            self.engine.tracing.end(job.span, job.run, job.ended_ns or None)

    def _describe(self, job: Job, run: Run, span: Any) -> None:
        became = outcome.of(job)
        span.set_attribute(names.JOB_OUTCOME, became)
        deferral_ms = getattr(job.error, "defer_score", None)
        if became == outcome.RETRY and isinstance(deferral_ms, int):
            span.set_attribute(names.ENQUEUE_DEFER, deferral_ms / 1000)
        for name, key in ((names.JOB_STATUS, "status"), (names.JOB_REASON, "reason")):
            value = reading.text(job.result.get(key)) if isinstance(job.result, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
            if value is not None:
                span.set_attribute(name, self.engine.tracing.scrubber.text(value, run.prompts))
        if became == outcome.FAILED and isinstance(job.error, Exception):
            self.engine.tracing.fail(span, job.error, run)
        elif became in outcome.ERRORS:
            span.set_attribute(names.ERROR_TYPE, _error_type(became, job.error))
            span.set_status(Status(StatusCode.ERROR, became))


def _error_type(became: str, error: BaseException | None) -> str:
    if became == outcome.TIMEOUT:
        return "TimeoutError"
    return became if error is None else type_name(type(error))
