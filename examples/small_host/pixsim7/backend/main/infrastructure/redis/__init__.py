from pixsim7.backend.main.infrastructure.redis.client import close_redis, get_arq_pool, get_redis

__all__ = ["close_redis", "get_arq_pool", "get_redis"]
