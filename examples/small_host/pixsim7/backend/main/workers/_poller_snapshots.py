"""What the poller knows of a generation: values read once, apart from any session."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation
from pixsim7.backend.main.domain.enums import GenerationStatus, OperationType


@dataclass(frozen=True)
class _ProcessingGenerationSnapshot:
    id: int
    account_id: int | None
    provider_id: str
    operation_type: OperationType
    attempt_id: int
    started_at: datetime | None
    deferred_action: str | None
    cancel_requested_at: datetime | None


@dataclass(frozen=True)
class _PollGenerationResult:
    """`outcome`: completed, failed, cancelled, processing, waiting, error or skipped."""

    outcome: str


async def load_processing_snapshots(
    db: AsyncSession, generation_id: int | None = None
) -> list[_ProcessingGenerationSnapshot]:
    """Returns the generations in processing, oldest first; or the one asked for, if it is."""
    query = select(Generation).where(Generation.status == GenerationStatus.PROCESSING)
    if generation_id is not None:
        query = query.where(Generation.id == generation_id)
    rows = (await db.scalars(query.order_by(Generation.started_at))).all()
    return [
        _ProcessingGenerationSnapshot(
            id=row.id,
            account_id=row.account_id,
            provider_id=row.provider_id,
            operation_type=row.operation_type,
            attempt_id=row.attempt_id,
            started_at=row.started_at,
            deferred_action=row.deferred_action,
            cancel_requested_at=row.cancel_requested_at,
        )
        for row in rows
    ]
