from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.services.asset._creation import AssetCreationMixin


class AssetService(AssetCreationMixin):
    def __init__(self, db: AsyncSession):
        self.db = db


__all__ = ["AssetService"]
