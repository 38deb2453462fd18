"""Brings an asset's file into the media folder."""

from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Asset
from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.infrastructure.events.bus import event_bus
from pixsim7.backend.main.services.media.download import download_file
from pixsim7.backend.main.shared.errors import ResourceNotFoundError
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)


class AssetIngestionService:
    def __init__(self, db: AsyncSession):
        self.db = db

    async def ingest_asset(self, asset_id: int, *, force: bool = False) -> Asset:
        """Returns the asset with its file's path, size and hash; a second call does nothing."""
        asset = await self.db.get(Asset, asset_id)
        if asset is None:
            raise ResourceNotFoundError("Asset", asset_id)
        if asset.ingestion_status == "completed" and not force:
            return asset
        if asset.remote_url:
            stored = await download_file(asset.remote_url, asset.id)
            asset.local_path = str(stored.path)
            asset.size_bytes, asset.sha256 = stored.size_bytes, stored.sha256
        asset.ingestion_status = "completed"
        asset.ingested_at = utcnow()
        await self.db.commit()
        logger.info("asset_ingestion_completed", asset_id=asset.id)
        data = {"asset_id": asset.id, "source_generation_id": asset.source_generation_id}
        await event_bus.publish("asset:updated", data)
        return asset
