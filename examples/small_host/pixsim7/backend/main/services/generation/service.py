"""The one face of generations for routes and workers; the work is in its parts."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation
from pixsim7.backend.main.domain.enums import (
    RETRYABLE_ERROR_CODES,
    GenerationErrorCode,
    GenerationStatus,
    OperationType,
)
from pixsim7.backend.main.services.generation.creation import GenerationCreationService
from pixsim7.backend.main.services.generation.lifecycle import GenerationLifecycleService
from pixsim7.backend.main.services.user import User, UserService
from pixsim7.backend.main.shared.errors import InvalidOperationError, ResourceNotFoundError


class GenerationService:
    def __init__(self, db: AsyncSession, user_service: UserService):
        self.db = db
        self.creation = GenerationCreationService(db, user_service)
        self.lifecycle = GenerationLifecycleService(db)

    async def create_generation(
        self,
        user: User,
        operation_type: OperationType,
        provider_id: str,
        params: dict[str, Any],
        workspace_id: int | None = None,
        name: str | None = None,
        description: str | None = None,
        priority: int = 5,
        scheduled_at: datetime | None = None,
        parent_generation_id: int | None = None,
        prompt_version_id: str | None = None,
        force_new: bool = False,
        analyzer_id: str | None = None,
        preferred_account_id: int | None = None,
    ) -> Generation:
        return await self.creation.create_generation(
            user=user,
            operation_type=operation_type,
            provider_id=provider_id,
            params=params,
            workspace_id=workspace_id,
            name=name,
            description=description,
            priority=priority,
            scheduled_at=scheduled_at,
            parent_generation_id=parent_generation_id,
            prompt_version_id=prompt_version_id,
            force_new=force_new,
            analyzer_id=analyzer_id,
            preferred_account_id=preferred_account_id,
        )

    async def update_status(
        self,
        generation_id: int,
        status: GenerationStatus,
        error_message: str | None = None,
        error_code: str | None = None,
    ) -> Generation:
        return await self.lifecycle.update_status(generation_id, status, error_message, error_code)

    async def mark_started(self, generation_id: int) -> Generation:
        return await self.lifecycle.mark_started(generation_id)

    async def mark_completed(self, generation_id: int, asset_id: int) -> Generation:
        return await self.lifecycle.mark_completed(generation_id, asset_id)

    async def mark_failed(
        self, generation_id: int, error_message: str, error_code: str | None = None
    ) -> Generation:
        return await self.lifecycle.mark_failed(generation_id, error_message, error_code)

    async def cancel_generation(self, generation_id: int, user: User) -> Generation:
        return await self.lifecycle.cancel_generation(generation_id, user)

    async def pause_generation(self, generation_id: int, user: User) -> Generation:
        return await self.lifecycle.pause_generation(generation_id, user)

    async def resume_generation(self, generation_id: int, user: User) -> Generation:
        return await self.lifecycle.resume_generation(generation_id, user)

    async def get_generation(self, generation_id: int) -> Generation:
        generation = await self.db.get(Generation, generation_id)
        if generation is None:
            raise ResourceNotFoundError("Generation", generation_id)
        return generation

    async def get_generation_for_user(self, generation_id: int, user: User) -> Generation:
        generation = await self.get_generation(generation_id)
        if generation.user_id != user.id:
            raise InvalidOperationError("Not the owner of this generation")
        return generation

    async def list_generations(
        self,
        user: User,
        workspace_id: int | None = None,
        status: GenerationStatus | None = None,
        operation_type: OperationType | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[Generation]:
        query = select(Generation).where(Generation.user_id == user.id)
        if workspace_id is not None:
            query = query.where(Generation.workspace_id == workspace_id)
        if status is not None:
            query = query.where(Generation.status == status)
        if operation_type is not None:
            query = query.where(Generation.operation_type == operation_type)
        query = query.order_by(Generation.id.desc()).limit(limit).offset(offset)
        return list((await self.db.scalars(query)).all())

    async def should_auto_retry(self, generation: Generation) -> bool:
        """Returns whether the failure is of a kind that may pass on another attempt."""
        if generation.status != GenerationStatus.FAILED or not generation.error_code:
            return False
        return GenerationErrorCode(generation.error_code) in RETRYABLE_ERROR_CODES
