"""Events inside a process; the Redis bridge carries them to the others."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pixsim7.backend.main.domain.base import utcnow
from pixsim7.backend.main.shared.logging import get_logger

logger = get_logger(__name__)


@dataclass
class Event:
    event_type: str
    data: dict[str, Any]
    timestamp: datetime = field(default_factory=utcnow)


EventHandler = Callable[[Event], Awaitable[None]]


class EventBus:
    def __init__(self) -> None:
        self._handlers: dict[str, list[EventHandler]] = defaultdict(list)
        self._publisher: EventHandler | None = None
        self._running: set[asyncio.Task[None]] = set()

    def subscribe(self, event_type: str, handler: EventHandler) -> None:
        if handler not in self._handlers[event_type]:
            self._handlers[event_type].append(handler)

    def set_distributed_publisher(self, publisher: EventHandler | None) -> None:
        self._publisher = publisher

    async def publish(
        self, event_type: str, data: dict[str, Any], wait: bool = False, propagate: bool = True
    ) -> None:
        """Starts this process's handlers and hands the event to the other processes."""
        event = Event(event_type, data)
        tasks = [asyncio.create_task(self._call(h, event)) for h in self._handlers[event_type]]
        for task in tasks:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if propagate and self._publisher is not None:
            await self._call(self._publisher, event)
        if wait:
            await asyncio.gather(*tasks)

    async def _call(self, handler: EventHandler, event: Event) -> None:
        try:
            await handler(event)
        except Exception:
            logger.error("event_handler_failed", exc_info=True, event_type=event.event_type)


event_bus = EventBus()
