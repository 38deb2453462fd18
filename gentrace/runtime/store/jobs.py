"""Which generation an ARQ job was for, kept beside the run store until the job is over.

ARQ loses a job's payload when it expires, and cannot read a corrupt one; the job's id is all that
is left of it then. Jobs of no generation are not kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gentrace.runtime.store.store import RunStore

MARGIN_S = 24 * 3600  # past the payload's own life: a worker finds it gone only when it looks


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a job but for its payload."""

    function: str
    generation_id: str
    fields: dict[str, str]


def keep(store: RunStore, job_id: str, job: Kept, payload_life_s: float) -> None:
    """Remember the job for as long as ARQ may ask for it. Never waits."""
    value = json.dumps([job.function, job.generation_id, job.fields])
    life_s = int(max(0.0, payload_life_s) + MARGIN_S)
    store.stream.command(job.generation_id, "SET", store.key.job(job_id), value, "EX", life_s)


def drop(store: RunStore, job_id: str) -> None:
    """The job is over. Never waits."""
    store.stream.command("", "DEL", store.key.job(job_id))


async def find(store: RunStore, job_id: str, until: float = 0.0) -> Kept | None:
    """What was kept of that job, in at most the store's one read."""
    found: list[Any] = []
    key = store.key.job(job_id)

    def read(client: Any) -> None:
        found.append(client.get(key))

    await store.runs.ask(read, fresh=True, until=until)
    if not found or found[0] is None:
        return None
    function, generation_id, fields = json.loads(found[0])
    return Kept(str(function), str(generation_id), {str(k): str(v) for k, v in fields.items()})
