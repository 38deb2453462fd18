"""Submits generations and asks for their status; one submission row for each attempt."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation, ProviderAccount, ProviderSubmission
from pixsim7.backend.main.domain.enums import IMAGE_OPERATIONS, OperationType
from pixsim7.backend.main.infrastructure.events.bus import event_bus
from pixsim7.backend.main.services.provider.adapters.pixverse import PixverseProvider
from pixsim7.backend.main.services.provider.base import GenerationResult, ProviderStatusResult
from pixsim7.backend.main.services.provider.registry import registry
from pixsim7.backend.main.shared.errors import ProviderError
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)


class ProviderService:
    def __init__(self, db: AsyncSession):
        self.db = db

    async def execute_generation(
        self, generation: Generation, account: ProviderAccount, params: dict[str, Any]
    ) -> ProviderSubmission:
        """Returns the accepted submission.

        Raises: ProviderError, after the submission was stored as an error.
        """
        provider = registry.get(generation.provider_id)
        mapped = provider.map_parameters(generation.operation_type, params)
        submission = ProviderSubmission(
            generation_id=generation.id,
            generation_attempt_id=generation.attempt_id,
            account_id=account.id,
            provider_id=generation.provider_id,
            payload=mapped,
            retry_attempt=generation.retry_count,
        )
        self.db.add(submission)
        await self.db.commit()
        log = logger.bind(generation_id=generation.id, submission_id=submission.id)
        log.info("provider_execute_started", operation_type=generation.operation_type.value)
        try:
            result = await provider.execute(
                operation_type=generation.operation_type, account=account, params=dict(mapped)
            )
            await self._accept(submission, result)
        except ProviderError as error:
            await self._refuse(submission, error)
            raise
        log.info("provider_execute_returned", provider_job_id=result.provider_job_id)
        return submission

    async def _accept(self, submission: ProviderSubmission, result: GenerationResult) -> None:
        if not result.provider_job_id:
            raise ProviderError("The provider named no job")
        submission.provider_job_id = result.provider_job_id
        submission.response = {"status": result.status.value, "metadata": result.metadata}
        submission.close("success")
        await self.db.commit()
        await event_bus.publish(
            "provider:submitted",
            {
                "job_id": submission.generation_id,
                "submission_id": submission.id,
                "provider_job_id": result.provider_job_id,
            },
        )

    async def _refuse(self, submission: ProviderSubmission, error: ProviderError) -> None:
        submission.response = {
            "error": str(error),
            "error_type": type(error).__name__,
            "error_code": error.error_code,
            "retryable": error.retryable,
        }
        submission.close("error")
        await self.db.commit()
        logger.warning(
            "provider_execute_failed",
            generation_id=submission.generation_id,
            submission_id=submission.id,
            error=str(error),
            error_type=type(error).__name__,
        )
        data = {"job_id": submission.generation_id, "submission_id": submission.id}
        await event_bus.publish("provider:failed", {**data, "error_code": error.error_code})

    async def check_status(
        self,
        submission: ProviderSubmission,
        account: ProviderAccount,
        operation_type: OperationType | None = None,
        poll_cache: dict[str, Any] | None = None,
    ) -> ProviderStatusResult:
        """Asks the provider; with a `poll_cache`, one list answers for a whole account."""
        provider = registry.get(submission.provider_id)
        job_id = submission.provider_job_id or ""
        if (
            poll_cache is not None
            and isinstance(provider, PixverseProvider)
            and operation_type != OperationType.VIDEO_EXTEND
        ):
            key = f"pixverse:{account.id}:{operation_type in IMAGE_OPERATIONS}"
            if key not in poll_cache:
                if operation_type in IMAGE_OPERATIONS:
                    poll_cache[key] = await provider.check_image_statuses_from_list(account)
                else:
                    poll_cache[key] = await provider.check_video_statuses_from_list(account)
            if job_id in poll_cache[key]:
                return poll_cache[key][job_id]
        return await provider.check_status(account, job_id, operation_type)

    async def get_generation_submissions(self, generation_id: int) -> list[ProviderSubmission]:
        query = select(ProviderSubmission).where(ProviderSubmission.generation_id == generation_id)
        return list((await self.db.scalars(query.order_by(ProviderSubmission.id))).all())

    async def get_latest_submission(self, generation_id: int) -> ProviderSubmission | None:
        submissions = await self.get_generation_submissions(generation_id)
        return submissions[-1] if submissions else None
