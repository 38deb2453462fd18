"""Functions that `profile.toml` names; each returns at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Inside = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Submission:
    """What a provider would have answered."""

    id: int
    provider_job_id: str


def check(account_id: int) -> bool:
    return account_id > 0


async def check_async(account_id: int) -> bool:
    return account_id > 0


async def submit(generation_id: int, provider_id: str) -> Submission:
    check(generation_id)
    return Submission(generation_id, f"{provider_id}-{generation_id}")


async def process(generation_id: int, inside: Inside | None = None) -> dict[str, str]:
    """A job: with `inside` it awaits that in the generation's scope, else it does as jobs do."""
    if inside is not None:
        await inside()
    else:
        await check_async(7)
        await submit(generation_id, "pixverse")
    return {"status": "submitted"}
