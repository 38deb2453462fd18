"""The trace's ids on the host's log records, by the standard library's logging.

Added in ``Logger.makeRecord``, after the host's own record factory and ``extra``: a factory that
set them would make ``extra={"trace_id": …}`` raise KeyError, and cannot be taken out of a chain
again. A name that the host uses itself is left alone. Its events on spans: hooks/log_events.py;
structlog: hooks/logs_structlog.py; loguru: hooks/logs_loguru.py.

Observed on: Python 3.11 to 3.14.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from types import ModuleType
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks.log_events import LogEvents

OFF = "off: GENTRACE_LOGS"


def ids() -> dict[str, str] | None:
    """``trace_id`` and ``span_id`` of the work at hand; None outside a generation's run.

    In a poll that has no span (yet) they are those of the span that it would hang under.
    """
    scope = context.current()
    if scope is None or scope.run is None:
        return None
    at, parent = trace.get_current_span(context.span_context(scope)), scope.run.parent
    found = at.get_span_context()
    unseen = scope.silent and scope.span is None
    if parent is not None and (
        not found.is_valid or (unseen and found.trace_id != parent.trace_id)
    ):
        found = parent
    if not found.is_valid:
        return None
    return {
        names.LOG_TRACE_ID: trace.format_trace_id(found.trace_id),
        names.LOG_SPAN_ID: trace.format_span_id(found.span_id),
    }


def add_ids(record: MutableMapping[str, Any], found: dict[str, str]) -> None:
    """Put the ids on a record under names that it does not have yet."""
    for name, value in found.items():
        known = record.setdefault(name, value)
        if not (isinstance(known, str) and known == value):
            record.setdefault(names.LOG_TAKEN + name, value)


def install(engine: Engine, module: ModuleType) -> None:
    """Watch the records that every logger makes."""
    if not engine.settings.logs:
        engine.libraries["logging"] = OFF
        return
    events, guard = LogEvents(engine), engine.guard("logs")

    def make_record(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        record = wrapped(*args, **kwargs)
        if guard.off or not engine.active:
            return record
        try:
            found = ids()
            if found is not None:
                add_ids(record.__dict__, found)
                events.of_record(record.msg, record.args, record.__dict__)
                guard.passed()
        except Exception as exc:
            guard.failed(exc)
        return record

    engine.replace(module.Logger, "makeRecord", make_record)
