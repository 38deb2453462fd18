"""Provider accounts, and one submission row for each attempt sent to a provider."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pixsim7.backend.main.domain.base import Base, enum_column, utcnow
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


class ProviderSubmission(Base):
    """`status` is of the submission only: success means accepted, not rendered."""

    __tablename__ = "provider_submissions"

    id: Mapped[int] = mapped_column(primary_key=True)
    generation_id: Mapped[int | None] = mapped_column(ForeignKey("generations.id"), index=True)
    generation_attempt_id: Mapped[int | None]
    account_id: Mapped[int] = mapped_column(ForeignKey("provider_accounts.id"))
    provider_id: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    response: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    provider_job_id: Mapped[str | None] = mapped_column(index=True)
    retry_attempt: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(default="pending")
    submitted_at: Mapped[datetime] = mapped_column(default=utcnow)
    responded_at: Mapped[datetime | None]
    duration_ms: Mapped[int | None]

    def close(self, status: str) -> None:
        """Notes the answer's time and the submission's status."""
        now = utcnow()
        self.status = status
        self.responded_at = now
        self.duration_ms = round((now - self.submitted_at).total_seconds() * 1000)
