"""One try of a job as a span: whose it is, where it hangs, how it ended.

The run is the store's current one, else the carrier's, else a new one. A job that ARQ can no
longer read is known by its id (runtime/store/jobs.py); without that, as for jobs of no generation
and jobs enqueued without gentrace, an expired or corrupt one makes no span: nobody knows what it
was for.

Observed on: arq 0.25 to 0.28.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.trace import SpanKind, Status, StatusCode

from gentrace.core import names
from gentrace.core.profile import Target
from gentrace.core.run.run import KEPT
from gentrace.runtime import carrier, context, reading
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks import arq_outcome as outcome
from gentrace.runtime.hooks.arq_outcome import Job
from gentrace.runtime.store import jobs, steps
from gentrace.runtime.telling import type_name
from gentrace.runtime.tracing import hang_under, of_job

# What is read off the result of a job that the profile has no target for
_RESULT = Target("", "job", (), {"status": ("result.status",), "reason": ("result.reason",)})


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
            named = reading.text(declared.generation_in(job.args, job.kwargs))
            if declared.by == "generation":
                job.generation_id = named
            else:
                job.alias = named
        job.sent, job.arrived = carrier.extract(fields), carrier.arrived(fields)

    async def find_run(self, job: Job, until: float = 0.0) -> None:
        """Whose job this is: the store's current run, else the carrier's, else a new one.

        However often the store is asked, the host waits no longer than for one read.
        """
        until = until or self.engine.store.runs.patience()
        declared = self.engine.profile.job(job.function)
        generation_id, sent, store = job.generation_id, job.sent, self.engine.store
        if generation_id is not None:
            job.run = await store.runs.find(generation_id, until)
            if job.run is not None and job.run.ended_ns:  # as far as we know: it may go on since
                job.run = await store.runs.look_again(generation_id, until) or job.run
            if job.run is not None and sent is not None and sent.trace_id != job.run.trace_id:
                job.run = await store.runs.current(generation_id, sent, until)
            if job.run is None and sent is None and declared is not None and declared.own:
                job.run = await store.runs.look_again(generation_id, until)
            unsure = sent is None and store.runs.is_unsure(generation_id)
            if unsure:
                return  # its run has a trace, which this process may learn before the job's end
            if job.run is None and declared is not None and (declared.own or sent is not None):
                job.run = Run(generation_id, parent=sent, owned=True, adopted=sent is None)
                context.remember(job.run)
        elif sent is not None:
            job.run = await store.runs.find_by_trace(sent.trace_id, until)
        elif job.alias is not None and declared is not None:
            job.run = await store.runs.resolve(declared.by, job.alias, until)

    async def find_refused(self, job: Job) -> None:
        """As :meth:`find_run`, for a job that the worker gives up; by its id if need be."""
        until = self.engine.store.runs.patience()
        if not job.read:
            kept = await jobs.find(self.engine.store, job.job_id, until)
            if kept is None:
                return
            job.carried = True
            job.function, job.generation_id = kept.function, kept.generation_id
            job.sent = carrier.extract(kept.fields)
        await self.find_run(job, until)

    def start(self, job: Job, ctx: Any) -> Any:
        """The function is about to run: open its scope and, for a generation, its span."""
        is_cron = hasattr(job.worker.functions.get(job.function), "next_run")
        name = job.function.removeprefix("cron:")
        job.cron = name if is_cron else ""
        caller = f"cron:{name}" if is_cron else f"job:{self._name(job)}"
        job.scope = Scope("job", job.run, caller)
        if isinstance(ctx, dict):
            job.tried = ctx.get("job_try")  # pyright: ignore[reportUnknownMemberType]
        if job.run is not None:
            self._begin(job, job.run)
        whose = job.generation_id or (job.run.generation_id if job.run is not None else None)
        self.engine.liveness.job_started(self._shown(job), job.function, whose, job.tried)
        return context.enter(job.scope, job.span, base=job.arrived)

    def _shown(self, job: Job) -> str:
        """ARQ's id of the job, as it stands on the spans: the host may put an address into it."""
        return str(self.engine.tracing.scrubber.attribute(names.MESSAGING_MESSAGE_ID, job.job_id))

    def _name(self, job: Job) -> str:
        declared = self.engine.profile.job(job.function)
        return job.function if declared is None else declared.function

    def _is_own(self, job: Job) -> bool:
        """Whether it is the generation's own job, whose tries are the run's."""
        declared = self.engine.profile.job(job.function)
        return declared is not None and declared.own

    def _begin(self, job: Job, run: Run) -> None:
        """Start its span; in a run with many that changed nothing, only once it does something."""
        assert job.scope is not None
        scope, job.attempts, job.began_ns = job.scope, run.attempts, job.scope.entered_ns
        if self._is_own(job) and run.unchanged >= KEPT:
            scope.silent = True
            scope.reveal = lambda: self._reveal(job, run)
            steps.job_started(self.engine, run, None, job.began_ns, job.job_id)
            return
        self._start_span(job, run, job.began_ns)
        if self._is_own(job):
            steps.job_started(self.engine, run, job.span, job.began_ns, job.job_id)

    def _begin_late(self, job: Job, run: Run | None) -> None:
        """Whose job it is was learnt while it ran: its span, as of its start."""
        if run is None or run.parent is None or not self._is_own(job) or job.scope is None:
            return
        parent, job.run, job.began_ns = run.parent, run, job.scope.entered_ns
        job.attempts = -1  # nobody counted
        self._start_span(job, run, job.began_ns)
        steps.job_started(self.engine, run, job.span, job.began_ns, job.job_id)
        run.parent = parent  # what came in between may have moved on from there

    def _reveal(self, job: Job, run: Run) -> None:
        """It has done something: its span, as of its start, and those of what led there."""
        scope = job.scope
        if scope is None or job.span is not None:
            return
        self._start_span(job, run, scope.entered_ns)
        scope.span = job.span
        for tell in scope.untold:
            tell()
        scope.untold.clear()

    def _start_span(self, job: Job, run: Run, start_ns: int | None = None) -> None:
        own = self._is_own(job)
        parent, links = of_job(run, job.sent)
        job.span = self.engine.tracing.start(
            self.engine.profile.span_of(self._name(job)),
            run,
            parent=parent,
            kind=SpanKind.CONSUMER,
            start_ns=start_ns,
            links=links,
            attributes={
                names.CODE_FUNCTION: self.engine.profile.host_function(self._name(job)),
                names.MESSAGING_SYSTEM: "arq",
                names.MESSAGING_DESTINATION: str(job.worker.queue_name),
                names.MESSAGING_OPERATION_NAME: "process",
                names.MESSAGING_OPERATION_TYPE: "process",
                names.MESSAGING_MESSAGE_ID: job.job_id,
                names.JOB_TRY: job.tried if isinstance(job.tried, int) else None,
                names.INCOMPLETE: [names.ADOPTED] if run.adopted and own else None,
            },
        )
        begins = run.parent is None
        if own or begins:
            hang_under(run, job.span)
        if own and self.engine.tracing.open is not None:
            self.engine.tracing.open.note(job.span)
        elif begins:
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
        """The try is over: say how, on its span, and to the store."""
        job.stopping = outcome.being_cancelled()
        self.engine.liveness.job_over(self._shown(job))
        if job.cron:
            became = outcome.of(job)
            failed = _error_type(became, job.error) if became in outcome.ERRORS else ""
            self.engine.liveness.ticked(job.cron, failed)
        if job.scope is not None:
            job.scope.close()
        if job.run is None and job.scope is not None and job.generation_id is not None:
            self._begin_late(job, context.find(job.generation_id))
        if job.finished and (job.carried or job.run is not None):
            jobs.drop(self.engine.store, job.job_id)
        if job.span is None and job.refused and job.run is not None:
            self._start_span(job, job.run)  # it never came to run
        if job.run is not None and (job.span is not None or job.scope is not None):
            self._conclude(job, job.run)

    def _conclude(self, job: Job, run: Run) -> None:
        became = outcome.of(job)
        if job.span is None and became not in (outcome.SUCCEEDED, outcome.RETRY):
            self._reveal(job, run)
        status, reason = self._returned(job, run, job.span)
        if job.span is not None:
            self._describe(job, run, job.span, became)
        self._tell(job, run, became, status, reason)
        if job.span is not None:
            self.engine.tracing.end(job.span, run, job.ended_ns or None)

    def _returned(self, job: Job, run: Run, span: Any) -> tuple[str, str]:
        """The status and reason that the host's function returned; on the span as may be shown."""
        target = self.engine.profile.job_target(self._name(job)) or _RESULT
        seen = Call(job.function, None, None, job.args, job.kwargs)
        words: list[str] = []
        for name, key in ((names.JOB_STATUS, "status"), (names.JOB_REASON, "reason")):
            value = reading.read_text(target, key, seen, job.result)
            words.append(value or "")
            if value is not None and span is not None:
                span.set_attribute(name, self.engine.tracing.word(value, run))
        return words[0], words[1]

    def _describe(self, job: Job, run: Run, span: Any, became: str) -> None:
        span.set_attribute(names.JOB_OUTCOME, became)
        deferral_ms = getattr(job.error, "defer_score", None)
        if became == outcome.RETRY and isinstance(deferral_ms, int):
            span.set_attribute(names.ENQUEUE_DEFER, deferral_ms / 1000)
        if became == outcome.FAILED and isinstance(job.error, Exception):
            self.engine.tracing.fail(span, job.error, run)
        elif became in outcome.ERRORS:
            span.set_attribute(names.ERROR_TYPE, _error_type(became, job.error))
            span.set_status(Status(StatusCode.ERROR, became))
        declared = self.engine.profile.job(job.function)
        if declared is not None and declared.own and self.engine.store.misses(run.generation_id):
            adopted = [names.ADOPTED] if run.adopted else []
            span.set_attribute(names.INCOMPLETE, [*adopted, names.NO_STORE])

    def _tell(self, job: Job, run: Run, became: str, status: str, reason: str) -> None:
        """How the generation's own job ended, for its run."""
        if not self._is_own(job):
            return
        facts: dict[str, Any] = {}
        if became in outcome.ERRORS:
            facts[names.ERROR_TYPE] = _error_type(became, job.error)
            if became == outcome.FAILED and isinstance(job.error, Exception):
                facts = dict(self.engine.tracing.run_facts(job.error, run))
        deferral_ms = getattr(job.error, "defer_score", None)
        over = steps.Over(
            job.ended_ns or time.time_ns(),
            job.began_ns,
            again=became in (outcome.RETRY, outcome.INTERRUPTED),
            failed=became in outcome.ERRORS,
            unchanged=self._unchanged(job, run, became, status),
            retried=became == outcome.RETRY,
            deferral_s=deferral_ms / 1000 if isinstance(deferral_ms, int) else 0.0,
            status=status,
            reason=reason,
        )
        steps.job_over(self.engine, run, job.span, over, job.again, facts)

    def _unchanged(self, job: Job, run: Run, became: str, status: str) -> bool:
        """Whether it left the run as it had found it: skipped, or put back with nothing tried."""
        if not job.started or became not in (outcome.SUCCEEDED, outcome.RETRY):
            return False
        if status in self.engine.profile.waits.unchanged:
            return True
        return run.attempts == job.attempts and (bool(job.again) or became == outcome.RETRY)


def _error_type(became: str, error: BaseException | None) -> str:
    if became == outcome.TIMEOUT:
        return "TimeoutError"
    return became if error is None else type_name(type(error))
