"""Settles what a finished generation cost."""

from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation, ProviderAccount, ProviderSubmission
from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.domain.enums import BillingState, GenerationStatus
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)


class GenerationBillingService:
    def __init__(self, db: AsyncSession):
        self.db = db

    async def finalize_billing(
        self,
        generation: Generation,
        final_submission: ProviderSubmission | None = None,
        account: ProviderAccount | None = None,
        actual_duration: float | None = None,
    ) -> Generation:
        """Charges a completed generation once; any other end costs nothing."""
        if generation.billing_state == BillingState.CHARGED:
            return generation
        charged = generation.status == GenerationStatus.COMPLETED
        generation.billing_state = BillingState.CHARGED if charged else BillingState.SKIPPED
        generation.updated_at = utcnow()
        await self.db.commit()
        event = "billing_charged" if charged else "billing_skipped"
        account_id = account.id if account else None
        logger.info(event, generation_id=generation.id, account_id=account_id)
        return generation
