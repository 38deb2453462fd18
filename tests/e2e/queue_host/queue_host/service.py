"""Makes generations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Generation:
    """A generation; its id is the caller's choice."""

    id: str


async def create_generation(generation_id: str) -> Generation:
    """The host's creating call."""
    return Generation(generation_id)
