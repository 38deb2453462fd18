"""One Redis client and one ARQ pool for the process, made on first use."""

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from redis.asyncio import Redis

from pixsim7.backend.main.shared.config import settings

_redis: Redis | None = None
_arq_pool: ArqRedis | None = None


def arq_redis_settings() -> RedisSettings:
    return RedisSettings.from_dsn(settings.redis_url)


async def get_redis() -> Redis:
    global _redis
    if _redis is None:
        _redis = Redis.from_url(settings.redis_url, decode_responses=True)
    return _redis


async def get_arq_pool() -> ArqRedis:
    global _arq_pool
    if _arq_pool is None:
        _arq_pool = await create_pool(arq_redis_settings())
    return _arq_pool


async def close_redis() -> None:
    global _redis, _arq_pool
    for client in (_redis, _arq_pool):
        if client is not None:
            await client.aclose()
    _redis = _arq_pool = None
