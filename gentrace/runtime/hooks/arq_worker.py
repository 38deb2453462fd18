"""The ARQ worker: each job in a fresh context, one CONSUMER span a try, its true outcome.

``Worker.run_job`` reads the job (``deserialize_job_raw``), starts the function's coroutine and
decides what became of it (``finish_job``, ``finish_failed_job``); we stand at each of these. The
functions are taken from the worker, not from their modules: settings classes captured them.

Observed on: arq 0.25 to 0.28.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

from opentelemetry import context as otel_context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from gentrace.core import names
from gentrace.runtime import carrier, context, process, reading
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.engine import Engine
from gentrace.runtime.export.pipeline import SEND_SHARE_S
from gentrace.runtime.tracing import below, link
from gentrace.runtime.wrapping import Hooked

SUCCEEDED, FAILED, RETRY, INTERRUPTED, ABORTED, TIMEOUT, NOT_FOUND, MAX_TRIES = (
    "succeeded",
    "failed",
    "retry",
    "interrupted",
    "aborted",
    "timeout",
    "not_found",
    "max_tries",
)
_CONTROL = {"Retry": RETRY, "RetryJob": RETRY}


@dataclass(eq=False, slots=True)
class Job:
    """One try of one job, from the worker's reading it to its end."""

    job_id: str
    worker: Any
    function: str = ""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
    carrier: dict[str, str] | None = None
    run: Run | None = None
    scope: Scope | None = None
    span: Span | None = None
    ended_ns: int = 0
    started: bool = False
    result: Any = None
    error: BaseException | None = None
    aborted: bool = False
    finished: bool | None = None


class _Observed(Hooked):
    """A function of a worker that we stand around."""


working: ContextVar[Job | None] = ContextVar("gentrace.job", default=None)


class WorkerHooks:
    """What is done at each of the worker's steps; every method runs inside the guard."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.guard = engine.guard("arq worker")

    # -- before the function ---------------------------------------------------------------
    def read(self, job: Job, raw: tuple[Any, ...]) -> None:
        """The worker has read the job's payload."""
        job.function, job.args, job.kwargs = raw[0], tuple(raw[1]), dict(raw[2])
        job.carrier = carrier.incoming.get()

    async def find_run(self, job: Job) -> None:
        """Whose job this is: the store's current run, else the carrier's, else a new one."""
        declared = self.engine.profile.job(job.function)
        generation_id = self._generation(job)
        sent = carrier.extract(job.carrier)
        if generation_id is not None:
            job.run = await self.engine.store.find(generation_id)
            if job.run is not None and sent is not None and sent.trace_id != job.run.trace_id:
                job.run = await self.engine.store.current(generation_id, sent)
            if job.run is None and sent is None and declared is not None and declared.own:
                job.run = await self.engine.store.look_again(generation_id)
            if job.run is None and declared is not None and (declared.own or sent is not None):
                job.run = Run(generation_id, parent=sent, owned=True, adopted=sent is None)
                context.remember(job.run)
        elif sent is not None:
            job.run = await self.engine.store.find_by_trace(sent.trace_id)

    def _generation(self, job: Job) -> str | None:
        declared = self.engine.profile.job(job.function)
        if declared is None:
            return None
        return reading.text(declared.generation_in(job.args, job.kwargs or {}))

    def start(self, job: Job, ctx: Any) -> Any:
        """The function is about to run: open its scope and, for a generation, its span."""
        is_cron = hasattr(job.worker.functions.get(job.function), "next_run")
        name = job.function.removeprefix("cron:")
        caller = f"cron:{name}" if is_cron else f"job:{name}"
        job.scope = Scope("job", job.run, caller)
        job.started = True
        if job.run is None:
            return context.enter(job.scope, base=otel_context.Context())
        self._start_span(job, ctx.get("job_try") if isinstance(ctx, dict) else None)  # pyright: ignore[reportUnknownMemberType]
        return context.enter(job.scope, job.span, base=otel_context.Context())

    def _start_span(self, job: Job, tried: Any) -> None:
        run = job.run
        assert run is not None
        declared = self.engine.profile.job(job.function)
        own = declared is not None and declared.own
        sent = carrier.extract(job.carrier)
        current = sent is not None and (run.parent is None or sent.trace_id == run.trace_id)
        parent = sent if current else run.parent
        links = [] if current or sent is None else [link(sent, names.LINK_SUPERSEDED)]
        job.span = self.engine.tracing.start(
            job.function,
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
                names.JOB_TRY: tried if isinstance(tried, int) else None,
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
        job.aborted = job.job_id in getattr(job.worker, "aborting_tasks", ())

    def finished(self, job: Job, finish: bool) -> None:
        """The worker decided: over (True), or to be run again."""
        job.finished = finish

    def refused(self, job: Job, result_data: Any) -> None:
        """The worker gave the job up before it ran: aborted, unless it was tried too often."""
        job.finished = True
        function = job.worker.functions.get(job.function)
        if function is None or result_data is None:
            return
        import pickle

        load = job.worker.job_deserializer or pickle.loads
        allowed = job.worker.max_tries if function.max_tries is None else function.max_tries
        job.aborted = load(result_data)["t"] <= allowed

    def end(self, job: Job) -> None:
        """The try is over: say how, on its span."""
        if job.scope is not None:
            job.scope.close()
        if job.span is None and not job.started and job.finished and job.run is not None:
            self._start_span(job, None)  # it never came to run
        span, run = job.span, job.run
        if span is None or run is None:
            return
        outcome = self._outcome(job)
        span.set_attribute(names.JOB_OUTCOME, outcome)
        deferral_ms = getattr(job.error, "defer_score", None)
        if outcome == RETRY and isinstance(deferral_ms, int):
            span.set_attribute(names.ENQUEUE_DEFER, deferral_ms / 1000)
        for name, key in ((names.JOB_STATUS, "status"), (names.JOB_REASON, "reason")):
            value = reading.text(job.result.get(key)) if isinstance(job.result, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownArgumentType]
            if value is not None:
                span.set_attribute(name, self.engine.tracing.scrubber.text(value, run.prompts))
        if outcome == FAILED and job.error is not None:
            self.engine.tracing.fail(span, job.error, run)
        elif outcome in (TIMEOUT, NOT_FOUND, MAX_TRIES, FAILED):
            span.set_attribute(names.ERROR_TYPE, "TimeoutError" if outcome == TIMEOUT else outcome)
            span.set_status(Status(StatusCode.ERROR, outcome))
        self.engine.tracing.end(span, run, job.ended_ns or None)

    def _outcome(self, job: Job) -> str:
        if not job.started:
            found = job.function in job.worker.functions
            if not found:
                return NOT_FOUND
            return ABORTED if job.aborted else MAX_TRIES
        if job.error is None:
            return SUCCEEDED
        control = next(
            (_CONTROL[c.__name__] for c in type(job.error).__mro__ if c.__name__ in _CONTROL), None
        )
        if job.finished is False and control is not None:
            return control
        if isinstance(job.error, asyncio.CancelledError):
            if job.aborted:
                return ABORTED
            return INTERRUPTED if job.finished is not True else TIMEOUT
        return FAILED


def install(engine: Engine, module: ModuleType) -> None:
    """Stand at the worker's steps."""
    hooks = WorkerHooks(engine)
    guard = hooks.guard

    def guarded(work: Any, *args: Any) -> Any:
        try:
            return work(*args)
        except Exception as exc:
            guard.failed(exc)
            return None

    async def main(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        guarded(engine.process.become, process.WORKER, str(instance.queue_name))
        guarded(_observe_functions, instance, hooks, guarded)
        return await wrapped(*args, **kwargs)

    async def run_job(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        guarded(engine.store.use_pool, getattr(instance.pool, "connection_pool", None))
        job = Job(str(args[0] if args else kwargs.get("job_id")), instance)
        token = working.set(job)
        fresh = otel_context.attach(otel_context.Context())
        try:
            return await wrapped(*args, **kwargs)
        finally:
            guarded(hooks.end, job)
            otel_context.detach(fresh)
            working.reset(token)

    def deserialize(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        job = working.get()
        if job is None:
            return wrapped(*args, **kwargs)
        import pickle

        given = kwargs.get("deserializer") or pickle.loads
        raw = wrapped(*args, **{**kwargs, "deserializer": carrier.taking(given)})
        guarded(hooks.read, job, raw)
        return raw

    async def finish_job(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        job = working.get()
        if job is not None:
            finish = kwargs.get("finish", args[1] if len(args) > 1 else True)
            guarded(hooks.finished, job, bool(finish))
        return await wrapped(*args, **kwargs)

    async def finish_failed_job(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        job = working.get()
        if job is not None:
            guarded(hooks.refused, job, args[1] if len(args) > 1 else kwargs.get("result_data"))
            if not job.started and job.function:
                try:
                    await hooks.find_run(job)
                except Exception as exc:
                    guard.failed(exc)
        return await wrapped(*args, **kwargs)

    async def close(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            return await wrapped(*args, **kwargs)
        finally:
            await flush_off_loop(engine)

    worker = module.Worker
    for owner, name, wrapper in (
        (worker, "main", main),
        (worker, "run_job", run_job),
        (worker, "finish_job", finish_job),
        (worker, "finish_failed_job", finish_failed_job),
        (worker, "close", close),
        (module, "deserialize_job_raw", deserialize),
    ):
        engine.replace(owner, name, wrapper)


def _observe_functions(worker: Any, hooks: WorkerHooks, guarded: Any) -> None:
    """Put ourselves between the worker and each function's coroutine, once."""

    async def observe(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        job = working.get()
        if job is None or not hooks.engine.active or hooks.guard.off:
            return await wrapped(*args, **kwargs)
        try:
            await hooks.find_run(job)
        except Exception as exc:
            hooks.guard.failed(exc)
        token = guarded(hooks.start, job, args[0] if args else None)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as exc:
            guarded(hooks.raised, job, exc)
            raise
        else:
            guarded(hooks.returned, job, result)
            return result
        finally:
            if token is not None:
                context.leave(token)

    for function in worker.functions.values():
        coroutine = function.coroutine
        if inspect.iscoroutinefunction(coroutine) and not isinstance(coroutine, _Observed):
            function.coroutine = cast(Any, _Observed)(coroutine, observe)
            hooks.engine.undo.append(_restoring(function, coroutine))


def _restoring(function: Any, coroutine: Any) -> Callable[[], None]:
    def restore() -> None:
        function.coroutine = coroutine

    return restore


async def flush_off_loop(engine: Engine, timeout_s: float = 2.3) -> None:
    """Flush on a thread, so that the host's event loop goes on; never raises.

    The time is for the store, the endpoint and, where that does not answer, the spool.
    """
    import threading

    done = threading.Event()

    def work() -> None:
        try:
            engine.store.flush(0.3)
            engine.flush(SEND_SHARE_S)
        finally:
            done.set()

    try:
        threading.Thread(target=work, name="gentrace-flush", daemon=True).start()
        deadline = time.monotonic() + timeout_s
        while not done.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110  a thread sets it
            await asyncio.sleep(0.01)
    except Exception as exc:
        engine.guard("flush").failed(exc)
