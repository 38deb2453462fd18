"""Queues the ingestion of every new asset; its job knows the asset's id and no other."""

from pixsim7.backend.main.infrastructure.events.bus import Event
from pixsim7.backend.main.infrastructure.queue.tasks import queue_task

SUBSCRIBE_TO = "asset:created"


async def handle_event(event: Event) -> None:
    asset_id = event.data["asset_id"]
    await queue_task("process_ingestion", asset_id, _job_id=f"ingest:{asset_id}")
