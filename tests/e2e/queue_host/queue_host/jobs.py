"""The jobs: each writes down what it was given, then does what its kind says."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from arq import Retry
from arq.constants import abort_jobs_ss
from arq.utils import timestamp_ms
from arq.worker import RetryJob

Ctx = dict[str, Any]


async def note(ctx: Ctx, *args: Any, **kwargs: Any) -> None:
    """Writes down what this try was given, as it was seen by the job."""
    given = [repr(args), repr(kwargs), ctx["job_try"], sorted(ctx), _baggage()]
    await ctx["redis"].rpush(f"seen:{ctx['job_id']}", json.dumps(given))


def _baggage() -> dict[str, str]:
    found: Any = sys.modules.get("opentelemetry.baggage")
    return dict(found.get_all()) if found else {}


async def process_generation(
    ctx: Ctx, generation_id: str, kind: str, *args: Any, **kwargs: Any
) -> Any:
    """Fails, tries again, waits or succeeds."""
    await note(ctx, generation_id, kind, *args, **kwargs)
    first = ctx["job_try"] == 1
    if kind == "failing":
        raise ValueError("no lighthouse")
    if kind == "retry" and first:
        raise Retry(defer=0.05)
    if kind == "run again" and first:
        raise RetryJob
    if kind == "aborted":
        await ctx["redis"].zadd(abort_jobs_ss, {ctx["job_id"]: timestamp_ms()})
        await asyncio.sleep(60)
    if kind == "shut down" and first:
        await ctx["redis"].rpush("begun", ctx["job_id"])
        await asyncio.sleep(60)
    return {"status": "submitted", "kind": kind, "args": args, "kwargs": kwargs}


async def by_path(ctx: Ctx, generation_id: str) -> str:
    """Known to ARQ by its import path."""
    await note(ctx, generation_id)
    return "by path"


async def time_out(ctx: Ctx, generation_id: str) -> None:
    """Takes longer than it may."""
    await note(ctx, generation_id)
    await asyncio.sleep(60)


async def give_up(ctx: Ctx, generation_id: str) -> None:
    """Never succeeds."""
    await note(ctx, generation_id)
    raise Retry


async def plain(ctx: Ctx, word: str) -> str:
    """A job of no generation."""
    await note(ctx, word)
    return word


async def tick(ctx: Ctx) -> None:
    """A cron job."""
    await ctx["redis"].incr("ticks")
