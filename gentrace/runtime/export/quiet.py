"""Keeps the libraries that we use from filling the host's log with what they say of our work.

An exporter logs each failed batch. We say such a thing once, so what libraries log on our own
threads, and in a :func:`quietly` block, goes nowhere; what they log for the host stays.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager

OUR_THREADS = frozenset({"gentrace-export", "gentrace-exporter-shutdown"})
_NOISY = (
    "opentelemetry.exporter",
    "opentelemetry.sdk",
    "opentelemetry.util",
    "requests",
    "urllib3",
    "grpc",
)
_ours = threading.local()


class _OursIsSaidOnce(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return threading.current_thread().name not in OUR_THREADS and not getattr(
            _ours, "working", False
        )


_filter = _OursIsSaidOnce()


def quieten() -> None:
    """Filter every logger that those libraries made so far; doing it again changes nothing."""
    for logger in _loggers():
        logger.addFilter(_filter)


def undo() -> None:
    """Take the filter away again."""
    for logger in _loggers():
        logger.removeFilter(_filter)


@contextmanager
def quietly() -> Generator[None]:
    """What the libraries log in this block, on this thread, goes nowhere."""
    quieten()
    _ours.working = True
    try:
        yield
    finally:
        _ours.working = False


def _loggers() -> list[logging.Logger]:
    """A filter holds for its own logger only, not for those below it."""
    return [
        logger
        for name, logger in list(logging.root.manager.loggerDict.items())
        if name.startswith(_NOISY) and isinstance(logger, logging.Logger)
    ]
