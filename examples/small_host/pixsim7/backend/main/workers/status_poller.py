"""Asks providers how the submitted generations fare, and closes those that are over."""

import time
from datetime import datetime, timedelta
from typing import Any

from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.infrastructure.database.session import get_async_session
from pixsim7.backend.main.infrastructure.redis.client import arq_redis_settings
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.errors import ProviderError
from pixsim7.backend.main.shared.logging import get_logger
from pixsim7.backend.main.workers._poller_finish import (
    Poll,
    close_unsubmitted,
    finish,
    keep_waiting,
)
from pixsim7.backend.main.workers._poller_snapshots import (
    _PollGenerationResult,
    _ProcessingGenerationSnapshot,
    load_processing_snapshots,
)
from pixsim7.backend.main.workers.lifecycle import shutdown, startup

logger = get_logger(__name__)

_poll_in_flight: set[int] = set()
_next_poll_at: dict[int, float] = {}


def _compute_adaptive_poll_defer_seconds(started_at: datetime | None, now: datetime) -> float:
    """Returns the pause before the provider is asked again: longer for longer renders."""
    age_s = (now - started_at).total_seconds() if started_at else 0.0
    return 0.0 if age_s < 10 else 4.0 if age_s < 60 else 10.0


async def _poll_single_generation(
    generation: _ProcessingGenerationSnapshot,
    poll_cache: dict[str, object],
    timeout_threshold: datetime,
    unsubmitted_timeout_threshold: datetime,
    mixed_submission_timeout_threshold: datetime,
    timeout_hours: float,
    unsubmitted_timeout_minutes: float,
    mixed_submission_timeout_minutes: float,
) -> _PollGenerationResult:
    """Polls once, in a session of its own; the thresholds are the oldest starts still allowed."""
    async with get_async_session() as db:
        poll = await Poll.load(db, generation)
        if poll is None:
            return _PollGenerationResult("skipped")
        if poll.submission is None or not poll.submission.provider_job_id:
            return await close_unsubmitted(poll, unsubmitted_timeout_threshold)
        try:
            status = await poll.providers.check_status(
                poll.submission,
                poll.account,
                operation_type=generation.operation_type,
                poll_cache=poll_cache,
            )
        except ProviderError as error:
            poll.log.warning("provider_check_failed", error=str(error))
            return _PollGenerationResult("error")
        poll.log.info("generation_status", status=status.status.value)
        if await finish(poll, status):
            return _PollGenerationResult(status.status.value)
        return await keep_waiting(poll, timeout_threshold)


async def _poll_guarded(
    generation: _ProcessingGenerationSnapshot, poll_cache: dict[str, object]
) -> str:
    """Polls unless this process is at it already; one that fails does not stop the others."""
    if generation.id in _poll_in_flight:
        return "skipped"
    _poll_in_flight.add(generation.id)
    now = utcnow()
    stale = now - timedelta(seconds=settings.unsubmitted_timeout_s)
    try:
        result = await _poll_single_generation(
            generation,
            poll_cache,
            now - timedelta(seconds=settings.processing_timeout_s),
            stale,
            stale,
            settings.processing_timeout_s / 3600,
            settings.unsubmitted_timeout_s / 60,
            settings.unsubmitted_timeout_s / 60,
        )
        return result.outcome
    except Exception as error:
        logger.error("poll_failed", exc_info=True, generation_id=generation.id, error=str(error))
        return "error"
    finally:
        _poll_in_flight.discard(generation.id)


async def poll_job_statuses(ctx: dict) -> dict:
    """The cron: polls every generation in processing whose turn it is."""
    async with get_async_session() as db:
        generations = await load_processing_snapshots(db)
    for gone in _next_poll_at.keys() - {g.id for g in generations}:
        del _next_poll_at[gone]
    poll_cache: dict[str, object] = {}
    counts: dict[str, int] = {}
    for generation in generations:
        if time.monotonic() < _next_poll_at.get(generation.id, 0.0):
            outcome = "deferred"
        else:
            outcome = await _poll_guarded(generation, poll_cache)
            pause = _compute_adaptive_poll_defer_seconds(generation.started_at, utcnow())
            _next_poll_at[generation.id] = time.monotonic() + pause
        counts[outcome] = counts.get(outcome, 0) + 1
    return {"checked": len(generations), **counts}


async def poll_generation_once(ctx: dict, generation_id: int) -> dict:
    """Polls one generation right after its submission, ahead of the cron."""
    async with get_async_session() as db:
        found = await load_processing_snapshots(db, generation_id)
    if not found:
        return {"polled": False, "reason": "not_processing"}
    outcome = await _poll_guarded(found[0], {})
    logger.info("poll_generation_once_done", generation_id=generation_id, outcome=outcome)
    return {"polled": outcome != "skipped", "outcome": outcome}


class WorkerSettings:
    """A worker for polling alone, without crons."""

    functions: list[Any] = [poll_job_statuses, poll_generation_once]
    redis_settings = arq_redis_settings()
    on_startup = startup
    on_shutdown = shutdown
