"""The queue's face of generation processing: an outcome becomes a result or an exception."""

from typing import Any

from pixsim7.backend.main.infrastructure.redis.client import arq_redis_settings
from pixsim7.backend.main.services.generation.processing.errors import _is_final_try
from pixsim7.backend.main.services.generation.processing.service import GenerationProcessingService
from pixsim7.backend.main.workers.lifecycle import shutdown, startup


async def process_generation(ctx: dict, generation_id: int) -> dict:
    """Returns what was done: submitted, requeued, skipped, scheduled or failed."""
    outcome = await GenerationProcessingService().process(
        generation_id, is_final_try=_is_final_try(ctx), job_try=ctx.get("job_try", 1)
    )
    if outcome.raise_for_retry and outcome.error is not None:
        raise outcome.error
    return outcome.result or {}


class WorkerSettings:
    """A worker for generations alone, without crons."""

    functions: list[Any] = [process_generation]
    redis_settings = arq_redis_settings()
    on_startup = startup
    on_shutdown = shutdown
