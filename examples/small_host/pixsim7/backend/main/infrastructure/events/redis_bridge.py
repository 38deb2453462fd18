"""Carries events between processes over Redis pub/sub: beside ARQ, their only path."""

import asyncio
import json
import uuid
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from pixsim7.backend.main.infrastructure.events.bus import Event, event_bus
from pixsim7.backend.main.shared.config import settings
from pixsim7.backend.main.shared.logging import get_logger

CHANNEL = "pixsim7:events:v1"
logger = get_logger(__name__)


class RedisEventBridge:
    def __init__(self, role: str = "process") -> None:
        self.role = role
        self._origin = uuid.uuid4().hex
        self._redis = Redis.from_url(settings.redis_url, decode_responses=True)
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        event_bus.set_distributed_publisher(self._publish_remote)
        self._listener = asyncio.create_task(self._listen_loop())

    async def stop(self) -> None:
        event_bus.set_distributed_publisher(None)
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        await self._redis.aclose()

    async def _publish_remote(self, event: Event) -> None:
        message = {"origin": self._origin, "type": event.event_type, "data": event.data}
        await self._redis.publish(CHANNEL, json.dumps(message, default=str))

    async def _listen_loop(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    async for message in pubsub.listen():
                        await self._receive(message)
            except (RedisError, OSError) as error:
                logger.warning("event_bridge_reconnecting", role=self.role, error=str(error))
                await asyncio.sleep(1)

    async def _receive(self, message: dict[str, Any]) -> None:
        if message["type"] != "message":
            return
        body = json.loads(message["data"])
        if body["origin"] != self._origin:
            await event_bus.publish(body["type"], body["data"], propagate=False)


_bridge: RedisEventBridge | None = None


async def start_event_bus_bridge(role: str = "process") -> RedisEventBridge:
    global _bridge
    if _bridge is None:
        _bridge = RedisEventBridge(role)
        await _bridge.start()
    return _bridge


async def stop_event_bus_bridge() -> None:
    global _bridge
    if _bridge is not None:
        await _bridge.stop()
        _bridge = None
