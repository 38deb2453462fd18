"""Puts generations on the queue, once each: a Redis lease refuses a second entry."""

import json
import random
from datetime import datetime, timedelta
from typing import Any, TypedDict

from arq.connections import ArqRedis

from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)
WAIT_META_TTL_S = 86_400


class GenerationRetryEnqueueResult(TypedDict):
    enqueued: bool
    deduped: bool
    actual_defer_seconds: int | None


def _lease_key(generation_id: int) -> str:
    return f"pixsim7:generation:enqueue_lease:{generation_id}"


def _wait_key(generation_id: int) -> str:
    return f"pixsim7:generation:wait_meta:{generation_id}"


async def acquire_generation_enqueue_lease(
    arq_pool: ArqRedis, generation_id: int, *, defer_seconds: int | None = None
) -> bool:
    """Returns whether the caller may enqueue; a Redis that fails here does not stop it."""
    ttl = max(settings.enqueue_lease_s, (defer_seconds or 0) + 120)
    try:
        return bool(await arq_pool.set(_lease_key(generation_id), "1", ex=ttl, nx=True))
    except Exception as error:
        logger.debug("enqueue_lease_failed", generation_id=generation_id, error=str(error))
        return True


async def release_generation_enqueue_lease(arq_pool: ArqRedis, generation_id: int) -> None:
    await arq_pool.delete(_lease_key(generation_id))


async def set_generation_wait_metadata(
    arq_pool: ArqRedis,
    generation_id: int,
    *,
    reason: str,
    account_id: int | None = None,
    next_attempt_at: datetime | None = None,
    source: str | None = None,
) -> None:
    """Says why a pending generation waits, for the API to show."""
    body = {
        "reason": reason,
        "account_id": account_id,
        "source": source,
        "set_at": utcnow().isoformat(),
        "next_attempt_at": next_attempt_at.isoformat() if next_attempt_at else None,
    }
    await arq_pool.set(_wait_key(generation_id), json.dumps(body), ex=WAIT_META_TTL_S)


async def get_generation_wait_metadata(
    arq_pool: ArqRedis, generation_id: int
) -> dict[str, Any] | None:
    try:
        raw = await arq_pool.get(_wait_key(generation_id))
        return json.loads(raw) if raw else None
    except Exception:
        return None


async def clear_generation_wait_metadata(arq_pool: ArqRedis, generation_id: int) -> None:
    await arq_pool.delete(_wait_key(generation_id))


async def enqueue_generation_fresh_job(arq_pool: ArqRedis, generation_id: int) -> bool:
    """Enqueues the generation now; False when it already waits on the queue."""
    if not await acquire_generation_enqueue_lease(arq_pool, generation_id):
        logger.info("generation_enqueue_deduped", generation_id=generation_id, defer_seconds=None)
        return False
    await arq_pool.enqueue_job("process_generation", generation_id=generation_id)
    return True


async def enqueue_generation_retry_job(
    arq_pool: ArqRedis, generation_id: int, *, defer_seconds: int | None = None
) -> GenerationRetryEnqueueResult:
    """Enqueues the generation for later; the jitter keeps a crowd from waking together."""
    defer = max(defer_seconds or 0, 0) + random.randint(0, settings.retry_defer_jitter_s)
    actual = defer or None
    if not await acquire_generation_enqueue_lease(arq_pool, generation_id, defer_seconds=actual):
        logger.info("generation_enqueue_deduped", generation_id=generation_id, defer_seconds=actual)
        return {"enqueued": False, "deduped": True, "actual_defer_seconds": actual}
    await arq_pool.enqueue_job(
        "process_generation",
        generation_id=generation_id,
        _defer_by=timedelta(seconds=defer) if defer else None,
    )
    return {"enqueued": True, "deduped": False, "actual_defer_seconds": actual}


async def enqueue_immediate_poll(arq_pool: ArqRedis, generation_id: int) -> bool:
    """Asks for one status poll ahead of the cron's next tick; needs no lease."""
    try:
        await arq_pool.enqueue_job("poll_generation_once", generation_id=generation_id)
        return True
    except Exception as error:
        logger.warning(
            "immediate_poll_enqueue_failed", generation_id=generation_id, error=str(error)
        )
        return False
