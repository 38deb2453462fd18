"""Enqueues any other task by its name."""

from typing import Any

from pixsim7.backend.main.infrastructure.redis import get_arq_pool
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)


async def queue_task(
    function_name: str, *args: Any, queue_name: str | None = None, **kwargs: Any
) -> str:
    """Returns the ARQ job id; a `_job_id` that is already queued enqueues nothing."""
    pool = await get_arq_pool()
    job = await pool.enqueue_job(function_name, *args, _queue_name=queue_name, **kwargs)
    job_id = job.job_id if job is not None else str(kwargs.get("_job_id"))
    logger.info(f"Queued task {function_name} -> job_id={job_id}", new=job is not None)
    return job_id
