"""Puts a generation back on the queue without a failure: status pending, row kept."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation
from pixsim7.backend.main.domain.enums import GenerationStatus
from pixsim7.backend.main.infrastructure.events.bus import event_bus
from pixsim7.backend.main.infrastructure.queue import enqueue_generation_retry_job
from pixsim7.backend.main.infrastructure.redis import get_arq_pool
from pixsim7.backend.main.shared.logging import EventLogger


async def _requeue_generation_for_account_rotation(
    *,
    db: AsyncSession,
    generation: Generation,
    generation_id: int,
    failed_account_id: int,
    reason: str,
    log_event: str,
    account_log_field: str,
    gen_logger: EventLogger,
    clear_preferred_on_account_match: bool = False,
    error_code: str | None = None,
    increment_retry: bool = False,
    defer_seconds: int | None = None,
) -> dict[str, Any] | None:
    """Returns the job's result, or None when the queue refused: the caller then fails it."""
    if clear_preferred_on_account_match and generation.preferred_account_id == failed_account_id:
        generation.preferred_account_id = None
    generation.account_id = None
    fields = {account_log_field: failed_account_id, "error_code": error_code}
    return await _requeue(
        db, generation, reason, log_event, gen_logger, increment_retry, defer_seconds, fields
    )


async def _requeue_generation_on_same_account(
    *, db: AsyncSession, generation: Generation, reason: str, gen_logger: EventLogger
) -> dict[str, Any] | None:
    event = "generation_requeued_content_filter_retry"
    return await _requeue(db, generation, reason, event, gen_logger, True, None, {})


async def _requeue(
    db: AsyncSession,
    generation: Generation,
    reason: str,
    log_event: str,
    gen_logger: EventLogger,
    increment_retry: bool,
    defer_seconds: int | None,
    fields: dict[str, Any],
) -> dict[str, Any] | None:
    try:
        if increment_retry:
            generation.retry_count += 1
        generation.status = GenerationStatus.PENDING
        generation.started_at = None
        await db.commit()
        pool = await get_arq_pool()
        queued = await enqueue_generation_retry_job(
            pool, generation.id, defer_seconds=defer_seconds
        )
        gen_logger.info(log_event, enqueue_deduped=queued["deduped"], **fields)
        if increment_retry:
            data = {"job_id": generation.id, "generation_id": generation.id, "reason": reason}
            await event_bus.publish("job:retrying", data)
        return {"status": "requeued", "reason": reason, "generation_id": generation.id}
    except Exception as error:
        gen_logger.error("generation_requeue_failed", error=str(error))
        return None
