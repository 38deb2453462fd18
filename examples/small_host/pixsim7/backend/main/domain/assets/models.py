"""The asset that a completed generation leaves behind."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from pixsim7.backend.main.domain.base import Base, utcnow


class Asset(Base):
    __tablename__ = "assets"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    source_generation_id: Mapped[int | None] = mapped_column(ForeignKey("generations.id"))
    media_type: Mapped[str]
    provider_id: Mapped[str]
    provider_asset_id: Mapped[str]
    remote_url: Mapped[str | None]
    local_path: Mapped[str | None]
    sha256: Mapped[str | None]
    size_bytes: Mapped[int | None]
    ingestion_status: Mapped[str] = mapped_column(default="pending")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    ingested_at: Mapped[datetime | None]
