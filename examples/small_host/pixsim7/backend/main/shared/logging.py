"""JSON log lines: one event name and its fields each, to stderr and, if asked for, to a file."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from pixsim7.backend.main.shared.config import settings

STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "fields"}


class JsonFormatter(logging.Formatter):
    def __init__(self, service: str):
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "service": self.service,
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
            **{k: v for k, v in vars(record).items() if k not in STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class EventLogger:
    """A logger whose calls take an event name and fields; `bind` fixes some of them."""

    def __init__(self, name: str, bound: dict[str, Any] | None = None):
        self._logger = logging.getLogger(name)
        self._bound = bound or {}

    def bind(self, **fields: Any) -> "EventLogger":
        return EventLogger(self._logger.name, {**self._bound, **fields})

    def _log(self, level: int, event: str, fields: dict[str, Any], exc_info: bool = False) -> None:
        extra = {"fields": {**self._bound, **fields}}
        self._logger.log(level, event, extra=extra, exc_info=exc_info)

    def debug(self, event: str, **fields: Any) -> None:
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, exc_info: bool = False, **fields: Any) -> None:
        self._log(logging.ERROR, event, fields, exc_info)


def get_logger(name: str) -> EventLogger:
    return EventLogger(name)


def configure_logging(service: str) -> None:
    """Sends the host's events of level info and above to stderr and to `LOG_FILE`."""
    root = logging.getLogger("pixsim7")
    if root.handlers:
        return
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if settings.log_file:
        handlers.append(logging.FileHandler(settings.log_file))
    for handler in handlers:
        handler.setFormatter(JsonFormatter(service))
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    root.propagate = False
