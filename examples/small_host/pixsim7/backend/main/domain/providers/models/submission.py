"""One row for each attempt that is sent to a provider."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from pixsim7.backend.main.domain.base import Base, utcnow


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
