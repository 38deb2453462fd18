"""An account at a provider: its session, its credits, how many jobs it may have at once."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixsim7.backend.main.domain.base import Base, enum_column
from pixsim7.backend.main.domain.enums import AccountStatus


class ProviderAccount(Base):
    __tablename__ = "provider_accounts"
    __table_args__ = (UniqueConstraint("provider_id", "email"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    provider_id: Mapped[str] = mapped_column(index=True)
    email: Mapped[str]
    jwt_token: Mapped[str | None]
    status: Mapped[AccountStatus] = mapped_column(
        enum_column(AccountStatus), default=AccountStatus.ACTIVE
    )
    credits: Mapped[int] = mapped_column(default=0)
    max_concurrent_jobs: Mapped[int] = mapped_column(default=2)
    current_processing_jobs: Mapped[int] = mapped_column(default=0)
    cooldown_until: Mapped[datetime | None]
    total_completed: Mapped[int] = mapped_column(default=0)
    total_failed: Mapped[int] = mapped_column(default=0)
