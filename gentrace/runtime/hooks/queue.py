"""The enqueue: ArqRedis.enqueue_job and the host's own functions around it.

One PRODUCER span an enqueue, whichever of them is reached: a lease of the host that is held ends
before ARQ is asked, a job id that ARQ has already makes it answer None. The carrier goes into
the serialised job, never into its arguments; whose job it is, is kept under its id besides.

Observed on: arq 0.25 to 0.28.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from gentrace.core import names
from gentrace.core.run.run import KEPT
from gentrace.runtime import carrier, context, reading
from gentrace.runtime.context import Run
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.arq_outcome import working
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.store import jobs, steps
from gentrace.runtime.tracing import hang_under

ENQUEUED, DUPLICATE, LEASED, ERROR = "enqueued", "duplicate", "leased", "error"


@dataclass(eq=False, slots=True)
class Enqueue:
    """An enqueue of the host's own function, under way."""

    hook: EnqueueHook
    run: Run
    function: str
    started_ns: int
    observed: Observed | None = None
    reached: bool = False
    over: bool = False

    def show(self) -> Observed:
        """Its span, started when first needed, as of the function's start."""
        if self.observed is None:
            self.observed = self.hook.start(self.run, self.function, self.started_ns)
        return self.observed


enqueuing: ContextVar[Enqueue | None] = ContextVar("gentrace.enqueuing", default=None)


class EnqueueHook(BaseHook):
    """The host's function around ArqRedis.enqueue_job, which may answer without asking ARQ."""

    waits = True

    def start(self, run: Run, function: str, start_ns: int | None = None) -> Observed:
        """The PRODUCER span of an enqueue in that run; none where a job that has none makes it."""
        if run.parent is not None and _is_quiet(run):
            return Observed(run, trace.NonRecordingSpan(run.parent))
        return self.for_run(
            run,
            names.ENQUEUE_PREFIX + self.engine.profile.span_of(function),
            {
                names.CODE_FUNCTION: self.engine.profile.host_function(function),
                names.MESSAGING_SYSTEM: "arq",
                names.MESSAGING_OPERATION_NAME: "enqueue",
                names.MESSAGING_OPERATION_TYPE: "send",
            },
            kind=SpanKind.PRODUCER,
            start_ns=start_ns,
        )

    def before(self, call: Call) -> Observed | None:
        function = self.text("function", call)
        run = _run_of(self.text("id", call))
        if function is None or run is None:
            return None
        enqueue = Enqueue(self, run, function, time.time_ns())
        if not context.caller().startswith("cron:"):
            enqueue.show()
        state = Observed()
        state.detail["enqueue"] = enqueue
        state.detail["reset"] = enqueuing.set(enqueue)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        enqueue: Enqueue = state.detail["enqueue"]
        if enqueue.reached or enqueue.observed is None or enqueue.observed.span is None:
            return
        enqueued = self.value("enqueued", call, result)
        outcome = LEASED if not enqueued else ENQUEUED
        enqueue.observed.span.set_attribute(names.ENQUEUE_OUTCOME, outcome)

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        enqueue: Enqueue = state.detail["enqueue"]
        span = enqueue.show().span
        if span is not None:
            span.set_attribute(names.ENQUEUE_OUTCOME, ERROR)
            self.tracing.fail(span, exc, enqueue.run)

    def settle(self, state: Observed) -> None:
        context.leave(state.detail["reset"])
        state.detail["enqueue"].over = True  # for tasks that were made within it and go on
        observed = state.detail["enqueue"].observed
        if observed is not None:
            super().settle(observed)


class ArqEnqueueHook(EnqueueHook):
    """ArqRedis.enqueue_job itself."""

    async def prepare(self, call: Call) -> None:
        await self.engine.store.runs.find(self._generation(call))

    def _generation(self, call: Call) -> str | None:
        arguments = call.arguments
        job = self.engine.profile.job(str(arguments.get("function", "")))
        if job is None or job.by != "generation":
            return None
        return reading.text(job.generation_in(arguments.get("args", ()), call.kwargs))

    def _function(self, call: Call) -> str:
        """The job's name; the declared one where ARQ knows it by its import path."""
        function = str(call.arguments.get("function", ""))
        job = self.engine.profile.job(function)
        return function if job is None else job.function

    def before(self, call: Call) -> Observed | None:
        function = self._function(call)
        outer = enqueuing.get()
        generation_id = self._generation(call)
        if outer is not None and not outer.over and outer.function == function:
            outer.reached = True
            observed = outer.show()
            state = Observed(outer.run, observed.span)
            state.detail["outer"] = True
        else:
            run = _run_of(generation_id)
            scope = context.recording()
            if run is None and generation_id is None and scope is not None:
                run = scope.run
            if run is None:
                return None
            state = self.start(run, function)
        try:
            self._hand_on(state, call, function, generation_id)
        except Exception:
            if not state.detail.get("outer"):
                BaseHook.settle(self, state)  # else its span would never end
            raise
        return state

    def _hand_on(
        self, state: Observed, call: Call, function: str, generation_id: str | None
    ) -> None:
        """What the job and the store are told of the span that it will hang under."""
        due_s = self._describe(state, call)
        assert state.span is not None
        fields = carrier.inject(state.span)
        if self.tracing.open is not None:
            self.tracing.open.note(state.span)  # the job hangs under it, wherever it runs
        state.detail["place"] = carrier.place(state.span)
        if state.run is not None and generation_id is not None:
            job = self.engine.profile.job(function)
            if job is not None and job.own:
                self.engine.store.use_pool(getattr(call.instance, "connection_pool", None))
                hang_under(state.run, state.span)
                parent = state.span.get_span_context()
                self.engine.store.save(state.run)
                now_ns = time.time_ns()
                due_ns = now_ns + round(due_s * 1e9) if due_s else 0
                span_id = f"{parent.span_id:016x}"
                state.detail["step"] = steps.Enqueued(function, now_ns, due_ns, span_id)
        reader = getattr(call.instance, "job_deserializer", None)
        # last: where anything before it fails, nobody would take it back
        state.detail["reset"] = carrier.outgoing.set(carrier.Outgoing(fields, reader))

    def _describe(self, state: Observed, call: Call) -> float:
        assert state.span is not None
        queue = call.kwargs.get("_queue_name") or getattr(call.instance, "default_queue_name", None)
        if queue:
            state.span.set_attribute(names.MESSAGING_DESTINATION, str(queue))
        seconds = _deferral_s(call.kwargs.get("_defer_by"), call.kwargs.get("_defer_until"))
        if seconds is not None:
            state.span.set_attribute(names.ENQUEUE_DEFER, seconds)
        return seconds or 0.0

    def after(self, state: Observed, call: Call, result: Any) -> None:
        assert state.span is not None
        outcome = DUPLICATE if result is None else ENQUEUED
        step: steps.Enqueued | None = state.detail.get("step")
        if step is not None and state.run is not None and outcome == ENQUEUED:
            job_id = reading.text(getattr(result, "job_id", None)) or ""
            step = replace(step, at_ns=time.time_ns(), job_id=job_id)
            job = working.get()
            if job is not None and job.run is state.run and job.finished is None:
                job.again.append(step)  # told when the job is over and has said why
            else:
                steps.enqueued(self.engine, state.run, step)
        state.span.set_attribute(names.ENQUEUE_OUTCOME, outcome)
        job_id = reading.text(getattr(result, "job_id", call.kwargs.get("_job_id")))
        if job_id is not None:
            state.span.set_attribute(names.MESSAGING_MESSAGE_ID, job_id)
        generation_id = state.run.generation_id if state.run is not None else None
        if outcome == ENQUEUED and job_id is not None and generation_id is not None:
            job = jobs.Kept(self._function(call), generation_id, state.detail["place"])
            jobs.keep(self.engine.store, job_id, job, _payload_life_s(call))

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        assert state.span is not None
        state.span.set_attribute(names.ENQUEUE_OUTCOME, ERROR)
        self.tracing.fail(state.span, exc, state.run)
        step: steps.Enqueued | None = state.detail.get("step")
        if step is not None and state.run is not None:
            facts = self.tracing.run_facts(exc, state.run)
            steps.not_enqueued(self.engine, state.run, time.time_ns(), facts)

    def settle(self, state: Observed) -> None:
        context.leave(state.detail["reset"])
        if not state.detail.get("outer"):
            BaseHook.settle(self, state)


def _run_of(generation_id: str | None) -> Run | None:
    """The run of that id; a creation under way learns its id here at the latest."""
    if generation_id is None:
        return None
    run = context.find(generation_id)
    scope = context.current()
    if run is None and scope is not None and scope.kind == "create" and scope.run is not None:
        scope.run.identify(generation_id)
        run = context.find(generation_id)
    return run


def _is_quiet(run: Run) -> bool:
    """Whether it is put on a queue again as so often before, and nothing has become of it."""
    if run.unchanged < KEPT:
        return False
    scope = context.current()
    in_job = scope is not None and scope.run is run and scope.silent and scope.span is None
    return in_job or context.caller().startswith("cron:")


def _deferral_s(by: Any, until: Any) -> float | None:
    if isinstance(by, timedelta):
        return by.total_seconds()
    if isinstance(by, int | float):
        return float(by)
    if isinstance(until, datetime):
        now = datetime.now(UTC) if until.tzinfo else datetime.now()
        return max(0.0, (until - now).total_seconds())
    return None


def _payload_life_s(call: Call) -> float:
    """For how long ARQ keeps the job's payload."""
    given = call.kwargs.get("_expires")
    if given:
        return given.total_seconds() if isinstance(given, timedelta) else float(given)
    deferred_s = _deferral_s(call.kwargs.get("_defer_by"), call.kwargs.get("_defer_until")) or 0.0
    return deferred_s + getattr(call.instance, "expires_extra_ms", 86_400_000) / 1000


def install(engine: Engine, module: ModuleType) -> None:
    """Let the carrier into the job where ``arq.connections`` serialises it; learn its Redis."""
    guard = engine.guard("arq carrier")

    def serialize(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        if carrier.outgoing.get() is None or guard.off:
            return wrapped(*args, **kwargs)
        import pickle

        given = kwargs.get("serializer") or pickle.dumps
        return wrapped(*args, **{**kwargs, "serializer": carrier.adding(given)})

    def made(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        try:
            engine.store.use_pool(instance.connection_pool, provisional=True)
        except Exception as exc:
            guard.failed(exc)
        return result

    engine.replace(module, "serialize_job", serialize)
    engine.replace(module.ArqRedis, "__init__", made)
