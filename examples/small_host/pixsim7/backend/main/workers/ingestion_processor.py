"""Ingests one asset, outside the generation that made it."""

from pixsim7.backend.main.infrastructure.database.session import get_async_session
from pixsim7.backend.main.services.asset.ingestion import AssetIngestionService


async def process_ingestion(ctx: dict, asset_id: int, *, force: bool = False) -> dict:
    async with get_async_session() as db:
        asset = await AssetIngestionService(db).ingest_asset(asset_id, force=force)
        return {"status": asset.ingestion_status, "asset_id": asset_id}
