"""The workers' settings: a class as most hosts have it, a dict for the other serializers."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from arq import cron, func
from arq.connections import RedisSettings
from queue_host.jobs import give_up, plain, process_generation, tick, time_out
from queue_host.serializers import SERIALIZERS

QUEUE = os.environ["QUEUE"]
REDIS = RedisSettings.from_dsn(os.environ["REDIS_URL"])
BY_PATH = "queue_host.jobs.by_path"
FUNCTIONS: list[Any] = [
    process_generation,
    plain,
    BY_PATH,
    func(time_out, timeout=0.5),
    func(give_up, max_tries=2),
]
HALF_AN_HOUR_ON = (datetime.now().minute + 30) % 60
TICK = cron(tick, minute=HALF_AN_HOUR_ON, run_at_startup=True, unique=False)


class WorkerSettings:
    """ARQ's own serializer."""

    functions = FUNCTIONS
    cron_jobs = [TICK]  # noqa: RUF012  as hosts have it
    redis_settings = REDIS
    queue_name = f"pickle:{QUEUE}"
    allow_abort_jobs = True
    poll_delay = 0.02
    max_jobs = 20


def settings(serializer: str) -> dict[str, Any]:
    """As :class:`WorkerSettings`, for another serializer."""
    dump, load = SERIALIZERS[serializer]
    return {
        "functions": FUNCTIONS,
        "redis_settings": REDIS,
        "queue_name": f"{serializer}:{QUEUE}",
        "allow_abort_jobs": True,
        "poll_delay": 0.02,
        "max_jobs": 20,
        "job_serializer": dump,
        "job_deserializer": load,
    }
