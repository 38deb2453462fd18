from pixsim7.backend.main.infrastructure.queue.generation_jobs import (
    enqueue_generation_fresh_job,
    enqueue_generation_retry_job,
    enqueue_immediate_poll,
)
from pixsim7.backend.main.infrastructure.queue.tasks import queue_task

__all__ = [
    "enqueue_generation_fresh_job",
    "enqueue_generation_retry_job",
    "enqueue_immediate_poll",
    "queue_task",
]
