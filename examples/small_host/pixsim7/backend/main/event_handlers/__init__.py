"""The handlers that act on events of other processes; the API alone registers them."""

from pixsim7.backend.main.event_handlers.auto_retry import manifest as auto_retry
from pixsim7.backend.main.event_handlers.ingestion import manifest as ingestion
from pixsim7.backend.main.infrastructure.events.bus import event_bus


def register_handlers() -> None:
    for handler in (auto_retry, ingestion):
        event_bus.subscribe(handler.SUBSCRIBE_TO, handler.handle_event)
