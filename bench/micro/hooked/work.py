"""Functions that `profile.toml` names; each returns at once, or awaits what it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Inside = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Made:
    """What stands for an ORM object: a generation, an account."""

    id: int
    reproducible_hash: str = "0" * 64


@dataclass(frozen=True)
class Submission:
    """What a provider would have answered."""

    id: int
    provider_job_id: str


@dataclass(frozen=True)
class Word:
    """What a provider says of its job."""

    status: str


class Adapter:
    """One provider."""

    async def execute(self, prompt: str) -> str:
        return prompt


async def create(
    generation_id: int,
    inside: Inside | None = None,
    operation_type: str = "text_to_video",
    provider_id: str = "pixverse",
    prompt: str = "a lighthouse in the rain",
) -> Made:
    """A creation: with `inside` it awaits that within."""
    if inside is not None:
        await inside()
    return Made(generation_id)


def compute_hash(text: str) -> str:
    return text


async def find_by_hash(_hash: str) -> None:
    return None


async def store_hash(_hash: str) -> None:
    return None


async def enqueue(generation_id: int) -> bool:
    return generation_id > 0


async def select_account(provider_id: str) -> Made:
    return Made(len(provider_id))


async def release_account(account_id: int) -> None:
    return None


def check(account_id: int) -> bool:
    return account_id > 0


async def check_async(account_id: int) -> bool:
    return account_id > 0


async def submit(generation_id: int, provider_id: str) -> Submission:
    return Submission(generation_id, provider_id)


async def poll(generation_id: int, inside: Inside | None = None) -> None:
    """A poll: with `inside` it awaits that within."""
    if inside is not None:
        await inside()


async def check_status(generation_id: int) -> Word:
    return Word("processing")


async def update_status(generation_id: int, status: str) -> None:
    return None


async def tick() -> None:
    return None


async def process(generation_id: int, inside: Inside | None = None) -> dict[str, str]:
    """A job: with `inside` it awaits that in the generation's scope, else it does as jobs do."""
    if inside is not None:
        await inside()
    else:
        await check_async(7)
        await submit(generation_id, "pixverse")
    return {"status": "submitted"}
