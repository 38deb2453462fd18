"""The generation row: what was asked, of whom, and how far it got."""

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from pixsim7.backend.main.domain.base import Base, enum_column, utcnow
from pixsim7.backend.main.domain.enums import (
    FINAL_STATUSES,
    BillingState,
    GenerationStatus,
    OperationType,
)


class Generation(Base):
    __tablename__ = "generations"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(index=True)
    operation_type: Mapped[OperationType] = mapped_column(enum_column(OperationType))
    provider_id: Mapped[str] = mapped_column(index=True)
    canonical_params: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    inputs: Mapped[list[Any]] = mapped_column(JSON, default=list)
    reproducible_hash: Mapped[str | None] = mapped_column(index=True)
    final_prompt: Mapped[str | None] = mapped_column(Text)
    workspace_id: Mapped[int | None]
    name: Mapped[str | None]
    description: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(default=5)
    parent_generation_id: Mapped[int | None] = mapped_column(ForeignKey("generations.id"))
    preferred_account_id: Mapped[int | None]
    account_id: Mapped[int | None]
    asset_id: Mapped[int | None]

    status: Mapped[GenerationStatus] = mapped_column(enum_column(GenerationStatus), index=True)
    deferred_action: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    retry_count: Mapped[int] = mapped_column(default=0)
    attempt_id: Mapped[int] = mapped_column(default=0)
    billing_state: Mapped[BillingState] = mapped_column(
        enum_column(BillingState), default=BillingState.PENDING
    )
    estimated_credits: Mapped[int | None]

    scheduled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]

    @property
    def is_terminal(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def attempt_count(self) -> int:
        return self.attempt_id

    @staticmethod
    def compute_hash(
        canonical_params: dict[str, Any],
        inputs: list[dict[str, Any]],
        *,
        include_seed: bool = True,
    ) -> str:
        """Returns the SHA-256 of the request; without the seed, variations share it."""
        params = {k: v for k, v in canonical_params.items() if include_seed or k != "seed"}
        text = json.dumps({"params": params, "inputs": inputs}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()
