"""The ARQ worker: each job in a fresh context, one CONSUMER span a try, its true outcome.

``Worker.run_job`` reads the job (``deserialize_job_raw``), starts the function's coroutine and
decides what became of it (``serialize_result``, ``finish_job``, ``finish_failed_job``); we stand
at each of these. The store is asked at ``on_job_start``: the function's time-out does not pay for
it. The functions are taken from the worker, not from their modules: settings
classes captured them. What is recorded is hooks/arq_job.py's, how it ended hooks/arq_outcome.py's.

Observed on: arq 0.25 to 0.28.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from opentelemetry import context as otel_context

from gentrace.runtime import ambient, baggage, carrier, context, process
from gentrace.runtime.engine import Engine
from gentrace.runtime.flushing import flush_off_loop
from gentrace.runtime.hooks.arq_job import JobSpans
from gentrace.runtime.hooks.arq_outcome import Job, working
from gentrace.runtime.hooks.arq_unsure import GUARD
from gentrace.runtime.wrapping import Hooked


class _Observed(Hooked):
    """A function of a worker that we stand around."""


class _Started:
    """A worker's ``on_job_start``: ours, then the host's."""

    def __init__(self, hooks: WorkerHooks, original: Any) -> None:
        self.hooks, self.original = hooks, original

    async def __call__(self, ctx: Any) -> None:
        await self.hooks.find_run()
        if self.original is not None:
            await self.original(ctx)


class WorkerHooks:
    """The wrappers at the worker's steps: the host's calls stand bare, ours are guarded."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.spans = engine, JobSpans(engine)
        self.guard = engine.guard(GUARD)
        self._observed: list[tuple[weakref.ref[Any], str, Any]] = []

    def guarded(self, work: Callable[..., Any], *args: Any) -> Any:
        """Our own work; None where it failed or the hook is off."""
        if self.guard.off:
            return None
        try:
            return work(*args)
        except Exception as exc:
            self.guard.failed(exc)
            return None

    async def main(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """The worker starts: this process is one, and its functions are known now."""
        self.guarded(self.engine.process.become, process.WORKER, str(instance.queue_name))
        self.guarded(self._observe_jobs, instance)
        self.engine.liveness.max_jobs = int(getattr(instance, "max_jobs", 0) or 0)
        return await wrapped(*args, **kwargs)

    async def run_job(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """One try of one job, in a task of its own."""
        if self.guard.off:
            return await wrapped(*args, **kwargs)
        failures = self.guard.total
        self.engine.process.loaded.set()
        pool = getattr(instance.pool, "connection_pool", None)
        self.guarded(self.engine.store.use_pool, pool)
        job = Job(str(args[0] if args else kwargs.get("job_id")), instance)
        token = working.set(job)
        fresh = ambient.attach(otel_context.Context())
        try:
            return await wrapped(*args, **kwargs)
        finally:
            self.guarded(self.spans.end, job)
            context.leave(fresh)
            context.leave(token)
            if self.guard.total == failures:
                self.guard.passed()

    def deserialize_job_raw(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """The payload, with our key in it or not."""
        job = working.get()
        if job is None or self.guard.off:
            return wrapped(*args, **kwargs)
        import pickle

        given = kwargs.get("deserializer") or pickle.loads
        job.corrupt = True
        raw = wrapped(*args, **{**kwargs, "deserializer": carrier.taking(given)})
        job.corrupt = False
        self.guarded(self.spans.read, job, raw)
        return raw

    def serialize_result(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """What the worker will say of the job: also of one that it did not run."""
        job = working.get()
        if job is not None:
            result = args[6] if len(args) > 6 else kwargs.get("result")
            tried = args[3] if len(args) > 3 else kwargs.get("job_try")
            self.guarded(self.spans.refused, job, result, tried)
        return wrapped(*args, **kwargs)

    async def finish_job(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """A job that ran is over, or stays on the queue."""
        job = working.get()
        if job is not None:
            finish = kwargs.get("finish", args[1] if len(args) > 1 else True)
            self.guarded(self.spans.finished, job, bool(finish))
        return await wrapped(*args, **kwargs)

    async def finish_failed_job(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """A job is given up before it ran."""
        job = working.get()
        if job is not None and not job.started and not self.guard.off:
            job.refused = True
            self.guarded(self.spans.finished, job, True)
            try:
                await self.spans.find_refused(job)
            except Exception as exc:
                self.guard.failed(exc)
        return await wrapped(*args, **kwargs)

    async def close(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """The worker ends; under ``arq --watch`` it starts again."""
        try:
            return await wrapped(*args, **kwargs)
        finally:
            await flush_off_loop(self.engine)

    async def function(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """The job's own function, in the task that the worker times and cancels."""
        job = working.get()
        if job is None or not self.engine.active or self.guard.off:
            return await wrapped(*args, **kwargs)
        job.started = True
        token = self.guarded(self.spans.start, job, args[0] if args else None)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as exc:
            self.guarded(self.spans.raised, job, exc)
            raise
        else:
            self.guarded(self.spans.returned, job, result)
            return result
        finally:
            if token is not None:
                context.leave(token)

    async def find_run(self) -> None:
        """Ask the store whose job it is, before ARQ's time-out of the job begins to run."""
        job = working.get()
        if job is None or not self.engine.active or self.guard.off:
            return
        try:
            await self.spans.find_run(job)
        except Exception as exc:
            self.guard.failed(exc)

    def _observe_jobs(self, worker: Any) -> None:
        """Put ourselves between the worker and each function's coroutine, once."""
        self._observed = [seen for seen in self._observed if seen[0]() is not None]
        start = worker.on_job_start
        if not isinstance(start, _Started):
            worker.on_job_start = _Started(self, start)
            self._remember(worker, "on_job_start", start)
        for function in worker.functions.values():
            coroutine = function.coroutine
            if inspect.iscoroutinefunction(coroutine) and not isinstance(coroutine, _Observed):
                function.coroutine = cast(Any, _Observed)(coroutine, self.function)
                self._remember(function, "coroutine", coroutine)

    def _remember(self, owner: Any, name: str, original: Any) -> None:
        """What stood there, for as long as the worker lives, or the cron job of its settings."""
        self._observed.append((weakref.ref(owner), name, original))

    def restore(self) -> None:
        """Put back what stands in the workers and cron jobs that there are."""
        for owner, name, original in ((ref(), name, old) for ref, name, old in self._observed):
            if owner is not None:
                setattr(owner, name, original)
        self._observed.clear()


def install(engine: Engine, module: ModuleType) -> None:
    """Stand at the worker's steps."""
    hooks = WorkerHooks(engine)
    for owner, wrapper in (
        (module.Worker, hooks.main),
        (module.Worker, hooks.run_job),
        (module.Worker, hooks.finish_job),
        (module.Worker, hooks.finish_failed_job),
        (module.Worker, hooks.close),
        (module, hooks.deserialize_job_raw),
        (module, hooks.serialize_result),
    ):
        engine.replace(owner, wrapper.__name__, wrapper)
    engine.undo.append(hooks.restore)
    baggage.hold_back(engine)
