"""Puts a failed generation back on the queue when its error is of a kind that may pass."""

from typing import Any, cast

from sqlalchemy import CursorResult, update
from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation
from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.domain.enums import GenerationStatus
from pixsim7.backend.main.infrastructure.database.session import get_async_session
from pixsim7.backend.main.infrastructure.events.bus import Event
from pixsim7.backend.main.infrastructure.queue import enqueue_generation_retry_job
from pixsim7.backend.main.infrastructure.redis import get_arq_pool
from pixsim7.backend.main.services.generation import GenerationService
from pixsim7.backend.main.services.user import UserService
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.logging import get_logger

SUBSCRIBE_TO = "job:failed"
logger = get_logger(__name__)


async def _claim_failed_generation_for_retry(db: AsyncSession, generation_id: int) -> bool:
    """Returns whether this caller turned failed into pending: one of several wins."""
    result = await db.execute(
        update(Generation)
        .where(Generation.id == generation_id, Generation.status == GenerationStatus.FAILED)
        .values(status=GenerationStatus.PENDING, updated_at=utcnow())
    )
    await db.commit()
    return cast("CursorResult[Any]", result).rowcount == 1


async def handle_event(event: Event) -> None:
    if not settings.auto_retry_enabled:
        return
    generation_id = event.data["generation_id"]
    async with get_async_session() as db:
        generations = GenerationService(db, UserService())
        generation = await generations.get_generation(generation_id)
        if not await generations.should_auto_retry(generation):
            return
        if generation.retry_count >= settings.auto_retry_max_attempts:
            logger.info("auto_retry_max_attempts_reached", generation_id=generation_id)
            return
        if not await _claim_failed_generation_for_retry(db, generation_id):
            return
        await db.refresh(generation)
        await _reset(db, generation)
        if generation.status != GenerationStatus.PENDING:
            return
        queued = await enqueue_generation_retry_job(await get_arq_pool(), generation_id)
        logger.info(
            "auto_retry_requeued",
            generation_id=generation_id,
            retry_attempt=generation.retry_count,
            enqueue_deduped=queued["deduped"],
        )


async def _reset(db: AsyncSession, generation: Generation) -> None:
    """Counts the retry; a pause or cancel that was asked for meanwhile takes its place."""
    generation.retry_count += 1
    asked_for, generation.deferred_action = generation.deferred_action, None
    if asked_for == "pause":
        generation.status = GenerationStatus.PAUSED
    elif asked_for == "cancel":
        generation.status = GenerationStatus.CANCELLED
    else:
        generation.status = GenerationStatus.PENDING
    if asked_for != "cancel":
        generation.completed_at = None
    generation.started_at = None
    generation.updated_at = utcnow()
    await db.commit()
