"""Enqueues one job of each of $KINDS: ``python -m queue_host.produce PRODUCER QUEUE...``.

Each serializer has its own queue of that name. A job's id, which is its generation's too, is
``<serializer>/<producer>/<queue>/<kind>``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from arq.connections import RedisSettings, create_pool
from opentelemetry import baggage
from opentelemetry import context as otel_context
from queue_host.serializers import SERIALIZERS
from queue_host.service import create_generation

JOB = "process_generation"
KINDS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "kwargs": (JOB, (), {"words": ["é", 1, None, True], "nested": {"a": [1.5, {}]}}),
    "args": (JOB, ((1, 2), ["b"], None), {"gentrace": "the host's own"}),
    "failing": (JOB, (), {}),
    "retry": (JOB, (), {}),
    "run again": (JOB, (), {}),
    "aborted": (JOB, (), {}),
    "aborted early": (JOB, (), {}),
    "deferred": (JOB, (), {"_defer_by": 0.05}),
    "expired": (JOB, (), {}),
    "corrupt": (JOB, (), {}),
    "hostile": (JOB, (), {}),
    "tried too often": (JOB, (), {"_job_try": 9}),
    "by path": ("queue_host.jobs.by_path", (), {}),
    "timeout": ("time_out", (), {}),
    "max tries": ("give_up", (), {}),
    "not found": ("vanished", (), {}),
    "plain": ("plain", ("word",), {}),
    "shut down": (JOB, (), {}),
}
"""The function, its arguments but for the first two, and its options."""


WRITTEN_S = 120


async def enqueue(redis: Any, job_id: str, kind: str) -> None:
    """Creates the generation and enqueues its job."""
    function, args, options = KINDS[kind]
    options = {**options, "_job_id": job_id, "_queue_name": redis.default_queue_name}
    if function == "plain":
        assert await redis.enqueue_job(function, *args, **options)
        return
    generation = await create_generation(job_id)
    if kind == "args":
        assert await redis.enqueue_job(function, generation.id, kind, *args, **options)
        return
    if function == JOB:
        options["kind"] = kind
    assert await redis.enqueue_job(function, *args, generation_id=generation.id, **options)


async def main(producer: str, queues: list[str]) -> None:
    otel_context.attach(baggage.set_baggage("tenant", "blue light"))
    for name, (dump, load) in SERIALIZERS.items():
        redis: Any = await create_pool(
            RedisSettings.from_dsn(os.environ["REDIS_URL"]),
            job_serializer=dump,
            job_deserializer=load,
        )
        for queue in queues:
            redis.default_queue_name = f"{name}:{queue}"
            for kind in os.environ["KINDS"].split(","):
                await enqueue(redis, f"{name}/{producer}/{queue}/{kind}", kind)
        await redis.connection_pool.disconnect()


def let_write() -> None:
    """A host goes on; this program ends with its last job, so it waits for gentrace's threads.

    The spans first: that they are out is told to the run store.
    """
    startup = sys.modules.get("gentrace.runtime.startup")
    session = startup.session() if startup is not None else None
    if session is not None:
        session.pipeline.force_flush(WRITTEN_S * 1000)
        session.engine.store.flush(WRITTEN_S)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
    let_write()
