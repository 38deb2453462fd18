"""Takes one pending generation as far as the provider; knows nothing of the queue's library.

A failure comes back as a value, a ProcessingOutcome. What cannot be done now is requeued.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation, ProviderAccount
from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.domain.enums import GenerationStatus
from pixsim7.backend.main.infrastructure.database.session import get_async_session
from pixsim7.backend.main.infrastructure.queue import (
    enqueue_generation_retry_job,
    enqueue_immediate_poll,
)
from pixsim7.backend.main.infrastructure.queue.generation_jobs import (
    clear_generation_wait_metadata,
    release_generation_enqueue_lease,
    set_generation_wait_metadata,
)
from pixsim7.backend.main.infrastructure.redis import get_arq_pool
from pixsim7.backend.main.services.account import AccountService
from pixsim7.backend.main.services.generation import GenerationService
from pixsim7.backend.main.services.generation.processing.account_ops import (
    has_sufficient_credits,
    refresh_account_credits,
    release_account_reservation,
)
from pixsim7.backend.main.services.generation.processing.errors import handle_provider_error
from pixsim7.backend.main.services.generation.processing.outcome import ProcessingOutcome
from pixsim7.backend.main.services.provider import ProviderService
from pixsim7.backend.main.services.user import UserService
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.errors import (
    AccountExhaustedError,
    InvalidOperationError,
    NoAccountAvailableError,
    ProviderError,
)
from pixsim7.backend.main.shared.logging import EventLogger, get_logger

logger = get_logger(__name__)


@dataclass
class _Job:
    """The services and facts of one processing, handed from phase to phase."""

    db: AsyncSession
    generation: Generation
    generations: GenerationService
    accounts: AccountService
    log: EventLogger
    is_final_try: bool
    job_try: int


def _guards(generation: Generation) -> dict[str, Any] | None:
    """Returns the job's result when there is nothing to do."""
    if generation.status != GenerationStatus.PENDING:
        return {"status": "skipped", "reason": f"Generation status is {generation.status.value}"}
    if generation.scheduled_at and generation.scheduled_at > utcnow():
        return {"status": "scheduled", "scheduled_for": str(generation.scheduled_at)}
    return None


async def _acquire_account(job: _Job) -> ProviderAccount:
    """Returns an account with a slot taken and its credits checked with the provider.

    The account asked for, or used before, is taken without the credit check.
    """
    generation = job.generation
    for account_id in (generation.preferred_account_id, generation.account_id):
        if account_id is not None:
            account = await job.accounts.reserve_account_if_available(account_id)
            if account is not None:
                job.log.info("account_reused", account_id=account.id)
                return account
    if generation.preferred_account_id is not None:
        raise NoAccountAvailableError(generation.provider_id)

    price = generation.estimated_credits or 0
    while True:
        account = await job.accounts.select_and_reserve_account(
            generation.provider_id,
            user_id=generation.user_id,
            operation_type=generation.operation_type.value,
            model=generation.canonical_params.get("model"),
        )
        try:
            credits = await refresh_account_credits(account, job.accounts, job.log)
        except ProviderError as error:
            job.log.warning("credit_check_failed", account_id=account.id, error=str(error))
            credits = {"last_known": account.credits}
        if has_sufficient_credits(credits, price):
            job.log.info("account_selected", account_id=account.id)
            return account
        await job.accounts.mark_exhausted(account.id)
        await job.accounts.release_account(account.id)


async def _stagger(job: _Job, account: ProviderAccount) -> None:
    """Holds a submission back while its account has others in hand: no thundering herd."""
    concurrent = account.current_processing_jobs
    if concurrent > 1:
        longest = min(
            concurrent * settings.dispatch_stagger_per_slot_s, settings.dispatch_stagger_max_s
        )
        stagger = random.uniform(0, longest)
        if stagger > 0.1:
            job.log.info(
                "dispatch_stagger", stagger_seconds=round(stagger, 2), concurrent_jobs=concurrent
            )
            await asyncio.sleep(stagger)


async def _submit(job: _Job, account: ProviderAccount) -> dict[str, Any]:
    generation = job.generation
    await _stagger(job, account)
    try:
        submission = await ProviderService(job.db).execute_generation(
            generation, account, generation.canonical_params
        )
    except ProviderError as error:
        return await handle_provider_error(
            error,
            db=job.db,
            generation=generation,
            account=account,
            account_service=job.accounts,
            generation_service=job.generations,
            gen_logger=job.log,
            is_final_try=job.is_final_try,
            job_try=job.job_try,
        )
    job.log.info("provider:submit", provider_job_id=submission.provider_job_id)
    await enqueue_immediate_poll(await get_arq_pool(), generation.id)
    return {
        "status": "submitted",
        "generation_id": generation.id,
        "provider_job_id": submission.provider_job_id,
    }


async def _wait_for_account(job: _Job, error: Exception) -> dict[str, Any]:
    """Requeues for later; the status stays pending, and Redis keeps the reason to show."""
    exhausted = isinstance(error, AccountExhaustedError)
    reason = "account_credits_wait" if exhausted else "account_capacity_wait"
    pool = await get_arq_pool()
    queued = await enqueue_generation_retry_job(
        pool, job.generation.id, defer_seconds=settings.account_wait_s
    )
    defer = queued["actual_defer_seconds"] or settings.account_wait_s
    await set_generation_wait_metadata(
        pool,
        job.generation.id,
        reason=reason,
        next_attempt_at=utcnow() + timedelta(seconds=defer),
        source="job_processor",
    )
    job.log.info(
        "generation_waiting_for_account_capacity_deferred", reason=reason, defer_seconds=defer
    )
    return {
        "status": "requeued",
        "reason": reason,
        "generation_id": job.generation.id,
        "defer_seconds": defer,
    }


async def _process(generation_id: int, *, is_final_try: bool, job_try: int) -> dict[str, Any]:
    log = logger.bind(job_id=generation_id)
    log.info("pipeline:start", job_try=job_try)
    pool = await get_arq_pool()
    await release_generation_enqueue_lease(pool, generation_id)
    async with get_async_session() as db:
        generations = GenerationService(db, UserService())
        generation = await generations.get_generation(generation_id)
        nothing_to_do = _guards(generation)
        if nothing_to_do is not None:
            log.warning("generation_not_pending", status=generation.status.value)
            return nothing_to_do
        await clear_generation_wait_metadata(pool, generation_id)

        accounts = AccountService(db)
        job = _Job(db, generation, generations, accounts, log, is_final_try, job_try)
        try:
            account = await _acquire_account(job)
        except (NoAccountAvailableError, AccountExhaustedError) as error:
            return await _wait_for_account(job, error)
        generation.account_id = account.id
        await db.commit()
        try:
            job.generation = await generations.mark_started(generation_id)
        except InvalidOperationError:
            await release_account_reservation(
                account_service=accounts, account_id=account.id, gen_logger=log
            )
            return {"status": "skipped", "reason": "already_processing"}
        log.info("generation_started")
        return await _submit(job, account)


class GenerationProcessingService:
    async def process(
        self, generation_id: int, *, is_final_try: bool, job_try: int
    ) -> ProcessingOutcome:
        """Returns done with the job's result, or retry with the error that ended it."""
        try:
            result = await _process(generation_id, is_final_try=is_final_try, job_try=job_try)
            return ProcessingOutcome.done(result)
        except Exception as error:
            logger.error(
                "generation_processing_failed",
                job_id=generation_id,
                error=str(error),
                error_type=type(error).__name__,
            )
            return ProcessingOutcome.retry(error)
