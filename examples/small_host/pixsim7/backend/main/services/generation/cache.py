"""Remembers finished and running requests in Redis; a Redis that fails looks like a miss."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from pixsim7.backend.main.domain.enums import OperationType
from pixsim7.backend.main.infrastructure.redis import get_redis
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)

CACHE_TTL = {"once": timedelta(days=30), "per_player": timedelta(days=7)}


class GenerationCacheService:
    async def _get_redis(self) -> Redis:
        return await get_redis()

    async def compute_cache_key(
        self,
        operation_type: OperationType,
        purpose: str,
        canonical_params: dict[str, Any],
        strategy: str = "once",
        playthrough_id: str | None = None,
        player_id: int | None = None,
        version: int = 1,
    ) -> str:
        """Returns the key under which requests of this kind share a generation."""
        scope = {"playthrough": playthrough_id, "player": player_id, "params": canonical_params}
        digest = hashlib.sha256(json.dumps(scope, sort_keys=True, default=str).encode())
        short = digest.hexdigest()[:32]
        return f"generation:cache:v{version}:{operation_type.value}:{purpose}:{strategy}:{short}"

    async def get_cached_generation(self, cache_key: str) -> int | None:
        return await self._read(cache_key)

    async def cache_generation(
        self, cache_key: str, generation_id: int, strategy: str = "once"
    ) -> None:
        ttl = CACHE_TTL.get(strategy, CACHE_TTL["once"])
        await self._write(cache_key, generation_id, ttl)

    async def invalidate_cache(self, cache_key: str) -> bool:
        try:
            return bool(await (await self._get_redis()).delete(cache_key))
        except Exception as error:
            logger.warning("cache_delete_failed", error=str(error))
            return False

    async def find_by_hash(self, reproducible_hash: str) -> int | None:
        return await self._read(f"generation:hash:{reproducible_hash}")

    async def store_hash(
        self, reproducible_hash: str, generation_id: int, ttl: timedelta = timedelta(days=90)
    ) -> None:
        await self._write(f"generation:hash:{reproducible_hash}", generation_id, ttl)

    async def _read(self, key: str) -> int | None:
        try:
            value = await (await self._get_redis()).get(key)
            return int(value) if value else None
        except Exception as error:
            logger.warning("cache_read_failed", error=str(error))
            return None

    async def _write(self, key: str, generation_id: int, ttl: timedelta) -> None:
        try:
            await (await self._get_redis()).set(key, generation_id, ex=ttl)
        except Exception as error:
            logger.warning("cache_write_failed", error=str(error))
