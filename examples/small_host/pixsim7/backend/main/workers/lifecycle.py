"""What every worker does first and last."""

from pixsim7.backend.main.infrastructure.database.session import engine, prepare_database
from pixsim7.backend.main.infrastructure.events.redis_bridge import (
    start_event_bus_bridge,
    stop_event_bus_bridge,
)
from pixsim7.backend.main.infrastructure.redis import close_redis
from pixsim7.backend.main.shared.logging import configure_logging, get_logger

logger = get_logger(__name__)


async def startup(ctx: dict) -> None:
    configure_logging("worker")
    await prepare_database()
    await start_event_bus_bridge(role="worker")
    logger.info("worker_started")


async def shutdown(ctx: dict) -> None:
    await stop_event_bus_bridge()
    await close_redis()
    await engine.dispose()
    logger.info("worker_stopped")
