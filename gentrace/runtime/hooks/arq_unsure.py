"""A job of which the run store has not said in time whose it is: the answer comes while it runs.

Without a carrier nobody begins another trace for it meanwhile. The answer, also that there is no
such run, is taken up in the job's own loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks.arq_outcome import Job

GUARD = "arq worker"


def await_answer(engine: Engine, job: Job, learnt: Callable[[Job], None]) -> None:
    """Have that called in this loop, in our guard, when the store has answered."""
    loop = asyncio.get_running_loop()

    def take_up() -> None:
        try:
            learnt(job)
        except Exception as exc:
            engine.guard(GUARD).failed(exc)

    def answered() -> None:
        with suppress(RuntimeError):  # the loop is closed: the host is gone
            loop.call_soon_threadsafe(take_up)

    job.unsure = True
    if job.generation_id is not None:
        engine.store.runs.when_sure(job.generation_id, answered)


def known_by_now(engine: Engine, job: Job, *, own: bool) -> Run | None:
    """The run of a job that was unsure, once the store has answered.

    Args:
        own: it is the generation's own job, which begins a run where there is none.
    """
    generation_id = job.generation_id
    if not job.unsure or generation_id is None or engine.store.runs.is_unsure(generation_id):
        return None
    run = context.find(generation_id)
    if run is None and own:
        run = Run(generation_id, owned=True, adopted=True)
        context.remember(run)
    return run
