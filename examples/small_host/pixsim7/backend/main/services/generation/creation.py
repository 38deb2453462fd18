"""Creates a generation: hashes, dedup and cache, the row, and its place on the queue."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from pixsim7.backend.main.domain import Generation, ProviderAccount
from pixsim7.backend.main.domain.enums import GenerationStatus, OperationType
from pixsim7.backend.main.infrastructure.events.bus import event_bus
from pixsim7.backend.main.infrastructure.queue import enqueue_generation_fresh_job
from pixsim7.backend.main.infrastructure.redis import get_arq_pool
from pixsim7.backend.main.services.generation.cache import GenerationCacheService
from pixsim7.backend.main.services.provider.registry import registry
from pixsim7.backend.main.services.user import User, UserService
from pixsim7.backend.main.shared.errors import InvalidOperationError, ProviderError, QuotaError
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)

INPUT_KEYS = ("image_url", "image_urls", "video_url", "original_video_id")


class GenerationCreationService:
    def __init__(self, db: AsyncSession, user_service: UserService):
        self.db = db
        self.users = user_service
        self.cache = GenerationCacheService()

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
        """Returns a new pending generation, or the existing one that answers the request.

        Raises: InvalidOperationError for a request that no provider could serve; QuotaError
        when no account could pay for it.
        """
        self._validate(operation_type, provider_id, params)
        config: dict[str, Any] = params["generation_config"]
        canonical = self._canonicalize_params(config, provider_id)
        inputs = [{"role": key, "value": canonical[key]} for key in INPUT_KEYS if key in canonical]

        dedup_hash = Generation.compute_hash(canonical, inputs, include_seed=True)
        reproducible_hash = Generation.compute_hash(canonical, inputs, include_seed=False)

        if not force_new:
            existing = await self._live(await self.cache.find_by_hash(dedup_hash))
            if existing is not None:
                logger.info("dedup_returned_existing", generation_id=existing.id)
                return existing

        strategy = config.get("strategy") or "once"
        cache_key: str | None = None
        if strategy != "always" and not force_new:
            purpose = config.get("purpose") or "unknown"
            cache_key = await self.cache.compute_cache_key(
                operation_type, purpose, canonical, strategy, player_id=user.id
            )
            cached_id = await self.cache.get_cached_generation(cache_key)
            cached = await self._live(cached_id)
            if cached is not None:
                logger.info("cache_returned_existing", generation_id=cached.id)
                return cached
            if cached_id is not None:
                await self.cache.invalidate_cache(cache_key)

        credits = registry.get(provider_id).estimate_credits(operation_type, canonical)
        if not await self._check_sufficient_credits(user.id, provider_id, credits):
            raise QuotaError(f"No {provider_id} account has {credits} credits")

        generation = Generation(
            user_id=user.id,
            operation_type=operation_type,
            provider_id=provider_id,
            canonical_params=canonical,
            inputs=inputs,
            reproducible_hash=reproducible_hash,
            final_prompt=canonical.get("prompt"),
            workspace_id=workspace_id,
            name=name,
            description=description,
            priority=priority,
            scheduled_at=scheduled_at,
            parent_generation_id=parent_generation_id,
            preferred_account_id=preferred_account_id,
            status=GenerationStatus.PENDING,
            estimated_credits=credits,
        )
        self.db.add(generation)
        await self.db.flush()
        await self.db.commit()
        await self.db.refresh(generation)

        await self.cache.store_hash(dedup_hash, generation.id)
        if cache_key is not None:
            await self.cache.cache_generation(cache_key, generation.id, strategy)

        job = {"job_id": generation.id, "generation_id": generation.id, "user_id": user.id}
        await event_bus.publish("job:created", {**job, "provider_id": provider_id})
        await self._enqueue(generation)
        return generation

    def _validate(
        self, operation_type: OperationType, provider_id: str, params: dict[str, Any]
    ) -> None:
        try:
            provider = registry.get(provider_id)
        except ProviderError as error:
            raise InvalidOperationError(str(error)) from error
        if operation_type not in provider.supported_operations:
            raise InvalidOperationError(f"{provider_id} cannot do {operation_type.value}")
        if not isinstance(params.get("generation_config"), dict):
            raise InvalidOperationError("params need a generation_config")

    def _canonicalize_params(self, config: dict[str, Any], provider_id: str) -> dict[str, Any]:
        """Flattens the request's config: the provider's own style keys beside the prompt."""
        style = (config.get("style") or {}).get(provider_id) or {}
        flat = {**style, "prompt": config.get("prompt")}
        flat["duration"] = (config.get("duration") or {}).get("target")
        for key in (*INPUT_KEYS, "seed", "prompts", "aspect_ratio"):
            flat[key] = config.get(key, flat.get(key))
        return {key: value for key, value in flat.items() if value is not None}

    async def _live(self, generation_id: int | None) -> Generation | None:
        """Returns the generation unless it is gone or failed: a failed one answers nobody."""
        if generation_id is None:
            return None
        generation = await self.db.get(Generation, generation_id)
        if generation is None or generation.status == GenerationStatus.FAILED:
            logger.info("existing_generation_skipped", generation_id=generation_id)
            return None
        return generation

    async def _check_sufficient_credits(
        self, user_id: int, provider_id: str, required_credits: int
    ) -> bool:
        query = select(func.max(ProviderAccount.credits)).where(
            ProviderAccount.provider_id == provider_id
        )
        return (await self.db.scalar(query) or 0) >= required_credits

    async def _enqueue(self, generation: Generation) -> None:
        """Enqueues the generation; when the queue is down, the requeue cron will find it."""
        try:
            await enqueue_generation_fresh_job(await get_arq_pool(), generation.id)
            logger.info(f"Generation {generation.id} queued for processing")
        except Exception as error:
            logger.error(f"Failed to queue generation {generation.id}", error=str(error))
