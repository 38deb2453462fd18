"""Makes the asset of a completed generation."""

from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Asset, Generation, ProviderSubmission
from pixsim7.backend.main.domain.enums import IMAGE_OPERATIONS
from pixsim7.backend.main.infrastructure.events.bus import event_bus


class AssetCreationMixin:
    db: AsyncSession

    async def create_from_submission(
        self, submission: ProviderSubmission, generation: Generation
    ) -> Asset:
        """Commits the asset and announces it; whoever ingests it learns its id that way."""
        asset = Asset(
            user_id=generation.user_id,
            source_generation_id=generation.id,
            media_type="image" if generation.operation_type in IMAGE_OPERATIONS else "video",
            provider_id=submission.provider_id,
            provider_asset_id=submission.provider_job_id or "",
            remote_url=submission.response.get("video_url"),
        )
        self.db.add(asset)
        await self.db.commit()
        data = {"asset_id": asset.id, "generation_id": generation.id, "user_id": asset.user_id}
        await event_bus.publish("asset:created", data)
        return asset
