"""What a refused submission leads to: another account, another try, or the end."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation, ProviderAccount
from pixsim7.backend.main.services.account import AccountService
from pixsim7.backend.main.services.generation import GenerationService
from pixsim7.backend.main.services.generation.processing.account_ops import (
    apply_account_cooldown,
    has_sufficient_credits,
    refresh_account_credits_best_effort,
    release_account_reservation,
)
from pixsim7.backend.main.services.generation.processing.requeue import (
    _requeue_generation_for_account_rotation,
    _requeue_generation_on_same_account,
)
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.errors import (
    ProviderAuthenticationError,
    ProviderConcurrentLimitError,
    ProviderContentFilteredError,
    ProviderError,
    ProviderQuotaExceededError,
)
from pixsim7.backend.main.shared.logging import EventLogger

MAX_CONTENT_FILTER_RETRIES = 3

# error class -> (reason, log event, field that names the account, event of the cooldown)
ROTATIONS: dict[type[ProviderError], tuple[str, str, str, str]] = {
    ProviderQuotaExceededError: (
        "account_quota_exhausted",
        "generation_requeued_for_different_account",
        "exhausted_account_id",
        "account_cooldown_quota_error",
    ),
    ProviderConcurrentLimitError: (
        "account_concurrent_limit",
        "generation_requeued_concurrent_limit",
        "previous_account_id",
        "account_cooldown_concurrent_limit",
    ),
    ProviderAuthenticationError: (
        "account_auth_failure",
        "generation_requeued_auth_failure",
        "failed_account_id",
        "account_cooldown_auth_failure",
    ),
}


def _is_final_try(ctx: dict[str, Any]) -> bool:
    return ctx.get("job_try", 1) >= settings.arq_max_tries


async def handle_provider_error(
    error: ProviderError,
    *,
    db: AsyncSession,
    generation: Generation,
    account: ProviderAccount,
    account_service: AccountService,
    generation_service: GenerationService,
    gen_logger: EventLogger,
    is_final_try: bool,
    job_try: int,
) -> dict[str, Any]:
    """Returns the job's result after a requeue or a lasting failure; else raises `error`.

    A raised error leaves the generation processing: the queue does not run the job again, so
    the status poller finds the refused submission and closes it.
    """
    gen_logger.warning("provider:error", error=str(error), error_type=type(error).__name__)
    rotation = ROTATIONS.get(type(error))
    if rotation is not None:
        reason, log_event, account_field, cooldown_event = rotation
        if isinstance(error, ProviderQuotaExceededError):
            credits = await refresh_account_credits_best_effort(
                account, account_service, gen_logger
            )
            if not has_sufficient_credits(credits):
                await account_service.mark_exhausted(account.id)
        await apply_account_cooldown(
            account_service=account_service,
            account=account,
            cooldown_seconds=settings.account_cooldown_s,
            gen_logger=gen_logger,
            event_name=cooldown_event,
        )

    await release_account_reservation(
        account_service=account_service, account_id=account.id, gen_logger=gen_logger
    )

    result: dict[str, Any] | None = None
    if rotation is not None:
        result = await _requeue_generation_for_account_rotation(
            db=db,
            generation=generation,
            generation_id=generation.id,
            failed_account_id=account.id,
            reason=reason,
            log_event=log_event,
            account_log_field=account_field,
            gen_logger=gen_logger,
            clear_preferred_on_account_match=not isinstance(error, ProviderConcurrentLimitError),
            error_code=error.error_code,
        )
    elif isinstance(error, ProviderContentFilteredError) and error.retryable:
        if generation.retry_count < MAX_CONTENT_FILTER_RETRIES:
            result = await _requeue_generation_on_same_account(
                db=db, generation=generation, reason="content_filtered_retry", gen_logger=gen_logger
            )
    if result is not None:
        return result

    if is_final_try or not error.retryable:
        await generation_service.mark_failed(generation.id, str(error), error_code=error.error_code)
    else:
        gen_logger.info("generation_will_retry", job_try=job_try, max_tries=settings.arq_max_tries)
    if error.retryable:
        raise error
    return {
        "status": "failed",
        "reason": "non_retryable_error",
        "generation_id": generation.id,
        "error": str(error),
    }
