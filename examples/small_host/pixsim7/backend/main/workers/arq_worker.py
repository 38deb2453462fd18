"""The workers as `arq` starts them: their functions, crons and limits."""

from typing import Any

from dotenv import load_dotenv

load_dotenv()

from arq import cron  # noqa: E402

from pixsim7.backend.main.infrastructure.redis.client import arq_redis_settings  # noqa: E402
from pixsim7.backend.main.shared.config import settings  # noqa: E402
from pixsim7.backend.main.workers.chain_execution_processor import (  # noqa: E402
    process_ephemeral_fanout_execution,
)
from pixsim7.backend.main.workers.ingestion_processor import process_ingestion  # noqa: E402
from pixsim7.backend.main.workers.job_processor import process_generation  # noqa: E402
from pixsim7.backend.main.workers.lifecycle import shutdown, startup  # noqa: E402
from pixsim7.backend.main.workers.status_poller import (  # noqa: E402
    poll_generation_once,
    poll_job_statuses,
)
from pixsim7.backend.main.workers.status_poller_maintenance import (  # noqa: E402
    reconcile_account_counters,
    recover_stale_processing_generations,
    refresh_stale_account_credits,
    requeue_pending_generations,
)


async def _startup(ctx: dict) -> None:
    await startup(ctx)
    await recover_stale_processing_generations(ctx)
    await reconcile_account_counters(ctx)


class WorkerSettings:
    """The main worker: everything, and the crons."""

    functions: list[Any] = [
        process_generation,
        process_ingestion,
        process_ephemeral_fanout_execution,
        poll_job_statuses,
        poll_generation_once,
        requeue_pending_generations,
        refresh_stale_account_credits,
    ]
    cron_jobs = [
        cron(
            poll_job_statuses,
            second=set(range(0, 60, settings.poll_interval_s)),
            run_at_startup=True,
        ),
        cron(requeue_pending_generations, second={15, 45}, run_at_startup=True),
        cron(reconcile_account_counters, minute=set(range(0, 60, 5)), second=5),
        cron(refresh_stale_account_credits, second={25, 55}, run_at_startup=True),
    ]
    redis_settings = arq_redis_settings()
    on_startup = _startup
    on_shutdown = shutdown
    max_jobs = settings.arq_max_jobs
    max_tries = settings.arq_max_tries
    job_timeout = settings.arq_job_timeout_s


class GenerationRetryWorkerSettings:
    """A worker on the queue that retries once had; they go to the main queue now."""

    functions: list[Any] = [process_generation]
    queue_name = "arq:queue:generation-retry"
    redis_settings = arq_redis_settings()
    on_startup = startup
    on_shutdown = shutdown
