"""Changes a generation's status, with its times and its event; nothing else belongs here."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation
from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.domain.enums import FINAL_STATUSES, GenerationStatus
from pixsim7.backend.main.infrastructure.events.bus import event_bus
from pixsim7.backend.main.infrastructure.queue import enqueue_generation_fresh_job
from pixsim7.backend.main.infrastructure.redis import get_arq_pool
from pixsim7.backend.main.services.user import User
from pixsim7.backend.main.shared.errors import InvalidOperationError, ResourceNotFoundError
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)

STATUS_EVENTS = {
    GenerationStatus.PROCESSING: "job:started",
    GenerationStatus.COMPLETED: "job:completed",
    GenerationStatus.FAILED: "job:failed",
    GenerationStatus.CANCELLED: "job:cancelled",
    GenerationStatus.PAUSED: "job:paused",
}


class GenerationLifecycleService:
    def __init__(self, db: AsyncSession):
        self.db = db

    async def update_status(
        self,
        generation_id: int,
        status: GenerationStatus,
        error_message: str | None = None,
        error_code: str | None = None,
    ) -> Generation:
        """Commits the new status and tells the other processes.

        A final status is kept against another final one. Raises: InvalidOperationError when
        a worker would start what is already running or already over.
        """
        generation = await self._get_generation_for_update(generation_id)
        if status == GenerationStatus.PROCESSING and (
            generation.is_terminal or generation.status == status
        ):
            raise InvalidOperationError(
                f"Generation {generation_id} is {generation.status.value}; not started again"
            )
        if generation.status == status or (generation.is_terminal and status in FINAL_STATUSES):
            return generation

        now = utcnow()
        generation.status = status
        generation.updated_at = now
        if status == GenerationStatus.PROCESSING:
            generation.attempt_id += 1
            generation.started_at = now
            generation.completed_at = None
        elif status in FINAL_STATUSES:
            generation.completed_at = now
        if status == GenerationStatus.COMPLETED:
            generation.error_message = generation.error_code = None
        elif error_message:
            generation.error_message, generation.error_code = error_message, error_code
        await self.db.commit()
        await self.db.refresh(generation)
        await self._publish(generation, error_message, error_code)
        return generation

    async def _publish(
        self, generation: Generation, error_message: str | None, error_code: str | None
    ) -> None:
        event_type = STATUS_EVENTS.get(generation.status)
        if event_type is None:
            return
        data: dict[str, Any] = {
            "job_id": generation.id,
            "generation_id": generation.id,
            "user_id": generation.user_id,
            "status": generation.status.value,
        }
        if generation.status == GenerationStatus.FAILED:
            data |= {"error": error_message, "error_code": error_code}
        logger.info(f"[Lifecycle] Publishing {event_type} for generation {generation.id}")
        await event_bus.publish(event_type, data)

    async def mark_started(self, generation_id: int) -> Generation:
        return await self.update_status(generation_id, GenerationStatus.PROCESSING)

    async def mark_completed(self, generation_id: int, asset_id: int) -> Generation:
        generation = await self._get_generation(generation_id)
        generation.asset_id = asset_id
        await self.db.commit()
        return await self.update_status(generation_id, GenerationStatus.COMPLETED)

    async def mark_failed(
        self, generation_id: int, error_message: str, error_code: str | None = None
    ) -> Generation:
        return await self.update_status(
            generation_id, GenerationStatus.FAILED, error_message, error_code=error_code
        )

    async def cancel_generation(self, generation_id: int, user: User) -> Generation:
        """Cancels at once what no provider has; otherwise asks the poller to."""
        generation = await self._get_open(generation_id, user)
        if generation.status != GenerationStatus.PROCESSING:
            return await self.update_status(generation_id, GenerationStatus.CANCELLED)
        generation.deferred_action = "cancel"
        generation.cancel_requested_at = generation.updated_at = utcnow()
        await self.db.commit()
        return generation

    async def pause_generation(self, generation_id: int, user: User) -> Generation:
        """Pauses at once what waits; what runs is paused when its attempt has failed."""
        generation = await self._get_open(generation_id, user)
        if generation.status != GenerationStatus.PROCESSING:
            return await self.update_status(generation_id, GenerationStatus.PAUSED)
        generation.deferred_action = "pause"
        await self.db.commit()
        return generation

    async def resume_generation(self, generation_id: int, user: User) -> Generation:
        """Puts a paused generation back to pending and enqueues it."""
        generation = await self._get_open(generation_id, user)
        if generation.status != GenerationStatus.PAUSED:
            raise InvalidOperationError(f"Generation {generation_id} is not paused")
        generation.deferred_action = None
        generation = await self.update_status(generation_id, GenerationStatus.PENDING)
        data = {"generation_id": generation_id, "user_id": generation.user_id}
        await event_bus.publish("job:resumed", data)
        try:
            await enqueue_generation_fresh_job(await get_arq_pool(), generation_id)
        except Exception as error:
            logger.error("resume_enqueue_failed", generation_id=generation_id, error=str(error))
        return generation

    async def _get_open(self, generation_id: int, user: User) -> Generation:
        generation = await self._get_generation(generation_id)
        if generation.user_id != user.id:
            raise InvalidOperationError("Not the owner of this generation")
        if generation.is_terminal:
            raise InvalidOperationError(f"Generation already {generation.status.value}")
        return generation

    async def _get_generation(self, generation_id: int) -> Generation:
        generation = await self.db.get(Generation, generation_id)
        if generation is None:
            raise ResourceNotFoundError("Generation", generation_id)
        return generation

    async def _get_generation_for_update(self, generation_id: int) -> Generation:
        query = select(Generation).where(Generation.id == generation_id).with_for_update()
        found = await self.db.execute(query.execution_options(populate_existing=True))
        generation = found.scalar_one_or_none()
        if generation is None:
            raise ResourceNotFoundError("Generation", generation_id)
        return generation
