"""The crons that mend what was lost: jobs off the queue, dead workers, wrong counters."""

from datetime import timedelta

from sqlalchemy import exists, func, select

from pixsim7.backend.main.domain import Generation, ProviderAccount, ProviderSubmission
from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.domain.enums import AccountStatus, GenerationStatus
from pixsim7.backend.main.infrastructure.database.session import get_async_session
from pixsim7.backend.main.infrastructure.queue import enqueue_generation_fresh_job
from pixsim7.backend.main.infrastructure.queue.generation_jobs import get_generation_wait_metadata
from pixsim7.backend.main.infrastructure.redis import get_arq_pool
from pixsim7.backend.main.services.account import AccountService
from pixsim7.backend.main.services.generation.processing.account_ops import (
    refresh_account_credits_best_effort,
)
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)


async def requeue_pending_generations(ctx: dict) -> dict:
    """Enqueues generations that have been pending for long; their status does not change."""
    old = utcnow() - timedelta(seconds=settings.requeue_after_s)
    async with get_async_session() as db:
        query = select(Generation).where(
            Generation.status == GenerationStatus.PENDING,
            Generation.updated_at < old,
            (Generation.scheduled_at.is_(None)) | (Generation.scheduled_at <= utcnow()),
        )
        pending = (await db.scalars(query.order_by(Generation.priority, Generation.id))).all()
    pool = await get_arq_pool()
    requeued = 0
    for generation in pending:
        wait = await get_generation_wait_metadata(pool, generation.id)
        if wait and (wait["next_attempt_at"] or "") > utcnow().isoformat():
            continue
        if await enqueue_generation_fresh_job(pool, generation.id):
            requeued += 1
            logger.info("requeue_generation", generation_id=generation.id)
        else:
            logger.info("requeue_generation_deduped", generation_id=generation.id)
    return {"pending": len(pending), "requeued": requeued}


async def recover_stale_processing_generations(ctx: dict) -> dict:
    """Puts back to pending what is in processing and was never submitted in its attempt."""
    old = utcnow() - timedelta(seconds=settings.unsubmitted_timeout_s)
    submitted = exists().where(
        ProviderSubmission.generation_id == Generation.id,
        ProviderSubmission.generation_attempt_id == Generation.attempt_id,
    )
    async with get_async_session() as db:
        query = select(Generation).where(
            Generation.status == GenerationStatus.PROCESSING,
            Generation.started_at < old,
            ~submitted,
        )
        stale = (await db.scalars(query)).all()
        for generation in stale:
            generation.status = GenerationStatus.PENDING
            generation.started_at = None
        await db.commit()
    pool = await get_arq_pool()
    for generation in stale:
        logger.warning("stale_processing_recovered", generation_id=generation.id)
        await enqueue_generation_fresh_job(pool, generation.id)
    return {"recovered": len(stale)}


async def reconcile_account_counters(ctx: dict) -> dict:
    """Sets each account's job counter to the number of its generations in processing."""
    async with get_async_session() as db:
        counted = await db.execute(
            select(Generation.account_id, func.count())
            .where(Generation.status == GenerationStatus.PROCESSING)
            .group_by(Generation.account_id)
        )
        jobs = {account_id: n for account_id, n in counted.all()}
        accounts = (await db.scalars(select(ProviderAccount))).all()
        wrong = [a for a in accounts if a.current_processing_jobs != jobs.get(a.id, 0)]
        for account in wrong:
            account.current_processing_jobs = jobs.get(account.id, 0)
        await db.commit()
    return {"accounts": len(accounts), "corrected": len(wrong)}


async def refresh_stale_account_credits(ctx: dict) -> dict:
    """Asks for the balance of exhausted accounts: those with credits again become active."""
    async with get_async_session() as db:
        query = select(ProviderAccount).where(ProviderAccount.status == AccountStatus.EXHAUSTED)
        exhausted = (await db.scalars(query)).all()
        for account in exhausted:
            await refresh_account_credits_best_effort(account, AccountService(db), logger)
    return {"refreshed": len(exhausted)}
