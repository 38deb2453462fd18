"""What a poll leads to: the generation completed, failed, cancelled, or left as it is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation, ProviderAccount, ProviderSubmission
from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.domain.enums import GenerationStatus, ProviderStatus
from pixsim7.backend.main.infrastructure.events.bus import event_bus
from pixsim7.backend.main.services.account import AccountService
from pixsim7.backend.main.services.asset import AssetService
from pixsim7.backend.main.services.generation import GenerationService
from pixsim7.backend.main.services.generation.billing import GenerationBillingService
from pixsim7.backend.main.services.generation.processing.account_ops import (
    refresh_account_credits_best_effort,
)
from pixsim7.backend.main.services.provider import ProviderService
from pixsim7.backend.main.services.provider.base import ProviderStatusResult
from pixsim7.backend.main.services.user import UserService
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.logging import EventLogger, get_logger
from pixsim7.backend.main.workers._poller_snapshots import (
    _PollGenerationResult,
    _ProcessingGenerationSnapshot,
)

logger = get_logger(__name__)
REFUSED_SUBMISSION_AGE = timedelta(seconds=1)


@dataclass
class Poll:
    """One poll of one generation: its rows and the services that act on them."""

    db: AsyncSession
    snapshot: _ProcessingGenerationSnapshot
    generation: Generation
    submission: ProviderSubmission | None
    account: ProviderAccount
    generations: GenerationService
    accounts: AccountService
    providers: ProviderService
    log: EventLogger

    @classmethod
    async def load(cls, db: AsyncSession, snapshot: _ProcessingGenerationSnapshot) -> "Poll | None":
        """Returns None when the generation has moved on since its snapshot was taken."""
        generations = GenerationService(db, UserService())
        generation = await generations.get_generation(snapshot.id)
        if generation.status != GenerationStatus.PROCESSING:
            return None
        if generation.attempt_id != snapshot.attempt_id:
            return None
        accounts, providers = AccountService(db), ProviderService(db)
        submission = await providers.get_latest_submission(snapshot.id)
        if submission and submission.generation_attempt_id != snapshot.attempt_id:
            submission = None
        account_id = submission.account_id if submission else snapshot.account_id
        return cls(
            db=db,
            snapshot=snapshot,
            generation=generation,
            submission=submission,
            account=await accounts.get_account(account_id or 0),
            generations=generations,
            accounts=accounts,
            providers=providers,
            log=logger.bind(generation_id=snapshot.id),
        )

    async def settle(self) -> None:
        """Bills what the generation came to; the account's balance is read again."""
        generation = await self.generations.get_generation(self.snapshot.id)
        await GenerationBillingService(self.db).finalize_billing(
            generation, self.submission, self.account
        )
        await refresh_account_credits_best_effort(self.account, self.accounts, self.log)


async def finish(poll: Poll, status: ProviderStatusResult) -> bool:
    """Acts on a final provider status; False when it is none."""
    submission = poll.submission
    assert submission is not None
    if status.status == ProviderStatus.COMPLETED:
        found = {"status": "completed", "video_url": status.video_url}
        submission.response = {**submission.response, **found}
        await poll.db.commit()
        data = {"job_id": poll.snapshot.id, "submission_id": submission.id}
        await event_bus.publish("provider:completed", data)
        await poll.accounts.release_account(poll.account.id)
        asset = await AssetService(poll.db).create_from_submission(submission, poll.generation)
        await poll.generations.mark_completed(poll.snapshot.id, asset.id)
        poll.log.info("generation_completed", asset_id=asset.id)
    elif status.status in (ProviderStatus.FILTERED, ProviderStatus.FAILED):
        submission.response = {**submission.response, "status": status.status.value}
        await poll.db.commit()
        await poll.accounts.release_account(poll.account.id)
        filtered = status.status == ProviderStatus.FILTERED
        text = status.error_message or f"The provider reports: {status.status.value}"
        code = "content_filtered" if filtered else "provider_generic"
        await poll.generations.mark_failed(poll.snapshot.id, text, error_code=code)
    else:
        return False
    await poll.settle()
    return True


async def keep_waiting(poll: Poll, timeout_threshold: datetime) -> _PollGenerationResult:
    """The provider is still at it: ends what was cancelled or has taken too long."""
    asked_at = poll.snapshot.cancel_requested_at
    if poll.snapshot.deferred_action == "cancel" and asked_at is not None:
        if utcnow() - asked_at >= timedelta(seconds=settings.cancel_grace_s):
            await _maybe_finalize_deferred_cancel(poll)
            return _PollGenerationResult("cancelled")
    if poll.snapshot.started_at and poll.snapshot.started_at < timeout_threshold:
        await poll.accounts.release_account(poll.account.id)
        text = "The provider did not finish in time"
        await poll.generations.mark_failed(poll.snapshot.id, text, error_code="provider_timeout")
        return _PollGenerationResult("failed")
    return _PollGenerationResult("processing")


async def close_unsubmitted(
    poll: Poll, unsubmitted_timeout_threshold: datetime
) -> _PollGenerationResult:
    """Ends a generation whose submission was refused, or that nobody submits any more.

    A refusal counts after a second: its job may be about to requeue the generation.
    """
    submission = poll.submission
    if submission is not None and submission.status == "error":
        if utcnow() - (submission.responded_at or submission.submitted_at) < REFUSED_SUBMISSION_AGE:
            return _PollGenerationResult("waiting")
        answer = submission.response
        poll.log.warning("generation_failed_unsubmitted_submission_error", error=answer["error"])
        await poll.generations.mark_failed(
            poll.snapshot.id, answer["error"], error_code=answer.get("error_code")
        )
        return _PollGenerationResult("failed")
    if poll.snapshot.deferred_action == "cancel" and submission is None:
        await _maybe_finalize_deferred_cancel(poll)
        return _PollGenerationResult("cancelled")
    started_at = poll.snapshot.started_at
    if started_at is not None and started_at < unsubmitted_timeout_threshold:
        await poll.accounts.release_account(poll.account.id)
        await poll.generations.mark_failed(
            poll.snapshot.id, "Nothing was submitted in time", error_code="provider_timeout"
        )
        return _PollGenerationResult("failed")
    return _PollGenerationResult("waiting")


async def _maybe_finalize_deferred_cancel(poll: Poll) -> None:
    poll.generation.deferred_action = None
    await poll.accounts.release_account(poll.account.id)
    await poll.generations.update_status(poll.snapshot.id, GenerationStatus.CANCELLED)
    await poll.settle()
