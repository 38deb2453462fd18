"""The host's own log events about a generation, as span events.

Which events and which of their fields: the profile says. They go on the span at work, if that is
recorded and is that generation's; an event elsewhere makes none, and never a span.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.trace import Span

from gentrace.core import host_logs, names
from gentrace.core.run.times import LONGEST_S
from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.engine import Engine

OF_ONE_NAME, IN_ALL = 16, 64
_LEFT_OUT = ""  # no event has that name
_FRAMES, _TABLES = 16, 2
_AS_TEXT = (uuid.UUID, decimal.Decimal, datetime.date, datetime.timedelta)
_told: WeakKeyDictionary[Span, Counter[str]] = WeakKeyDictionary()


class Found(NamedTuple):
    """An event as it was logged: its name, where its fields are, those in its text."""

    name: str
    fields: Mapping[str, Any]
    text: Mapping[str, str] = {}


class LogEvents:
    """Knows the profile's events and puts them on spans."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.logs = engine.profile.logs
        events = engine.profile.log_events
        self._fields = host_logs.fields_by_name(events)
        self._texts = [
            (host_logs.beginning(text), host_logs.pattern(text), event.names[0])
            for event in events
            for text in event.text
        ]
        self._beginnings = tuple(begins for begins, _, _ in self._texts)
        self._pauses = {
            name: event.pause for event in events for name in event.names if event.pause
        }

    def of_record(self, message: Any, args: Any, fields: Mapping[str, Any]) -> None:
        """A record was made: tell its event, unless the library it comes from told it already."""
        found = self._in_record(message, args, fields)
        if found is None or _by_structlog():
            return
        at_loguru = _in_hand("loguru._handler", "emit")
        if at_loguru is None or found.name != self._name(at_loguru["message"], at_loguru["extra"]):
            self.tell(found)

    def of_loguru(self, message: Any, fields: Mapping[str, Any]) -> None:
        """As :meth:`of_record`, of loguru: a handler may hand it what logging has logged."""
        found = self.find(message, fields)
        if found is None or _by_structlog():
            return
        at_logging = _in_hand("logging", "handle")
        if at_logging is not None:
            told = self._in_record(at_logging.msg, at_logging.args, vars(at_logging))
            if told is not None and told.name == found.name:
                return
        self.tell(found)

    def _name(self, message: Any, fields: Mapping[str, Any]) -> str | None:
        found = self.find(message, fields)
        return found and found.name

    def _in_record(self, message: Any, args: Any, fields: Mapping[str, Any]) -> Found | None:
        if not isinstance(message, str):
            return None
        if args and self._is_text(message):
            message = _formatted(message, args)
        return self.find(message, fields)

    def find(self, message: Any, fields: Mapping[str, Any]) -> Found | None:
        """The profile's event that this is, if it is one."""
        for name in (*(self._field(fields, key) for key in self.logs.event), message):
            if isinstance(name, str) and name in self._fields:
                return Found(name, fields)
        if isinstance(message, str) and self._is_text(message):
            for begins, pattern, name in self._texts:
                matched = pattern.match(message) if message.startswith(begins) else None
                if matched is not None:
                    return Found(name, fields, matched.groupdict())
        return None

    def tell(self, found: Found) -> None:
        """Put an event on the span at work, if it belongs there."""
        scope = context.recording()
        if scope is None or scope.run is None or not self._is_of(found, scope.run):
            return
        span = trace.get_current_span(context.span_context(scope))
        if not span.is_recording() or not _has_room(span, found.name):
            return
        attributes: dict[str, Any] = {}
        for name in self._fields[found.name]:
            value = self._shown(name, self._value(found, name), scope.run)
            if value is not None:
                attributes[name] = value
        paused = _seconds(attributes.get(self._pauses.get(found.name, "")))
        if paused:
            attributes[names.PAUSE] = paused
        span.add_event(found.name, dict(sorted(attributes.items())))

    # -- reading ---------------------------------------------------------------------------
    def _is_text(self, message: str) -> bool:
        return message.startswith(self._beginnings)

    def _value(self, found: Found, name: str) -> Any:
        value = self._field(found.fields, name)
        return found.text.get(name) if value is None else value

    def _field(self, fields: Mapping[str, Any], name: str, depth: int = 0) -> Any:
        """A field of an event, or of the tables in it."""
        value = fields.get(name)
        for within in self.logs.within if value is None and depth < _TABLES else ():
            table = fields.get(within)
            if isinstance(table, Mapping):
                value = self._field(cast("Mapping[str, Any]", table), name, depth + 1)
            if value is not None:
                break
        return value

    def _is_of(self, found: Found, run: Run) -> bool:
        """Whether the event names that run's generation, or none."""
        for name in self.logs.id:
            value = self._value(found, name)
            if value is not None and not isinstance(value, Mapping):
                return str(value) == run.generation_id
        return True

    # -- showing ---------------------------------------------------------------------------
    def _shown(self, name: str, value: Any, run: Run) -> Any:
        """A field's value as it may be shown; None for what is no plain value."""
        if isinstance(value, enum.Enum):
            value = value.value
        if isinstance(value, bool | int | float):
            return value
        if isinstance(value, BaseException):
            return self.engine.tracing.message(value, run)
        if isinstance(value, _AS_TEXT):
            return str(value)
        if not isinstance(value, str) or not value:
            return None
        if name in self.logs.messages:
            return self._message(value, run)
        return self.engine.tracing.word(value, run)

    def _message(self, text: str, run: Run) -> str:
        """An exception's message: shown if it is that of one being handled, of a shown type."""
        handled = sys.exc_info()[1]
        if handled is not None and str(handled) == text:
            return self.engine.tracing.message(handled, run)
        return self.engine.tracing.scrubber.mark("message", text)


def _has_room(span: Span, name: str) -> bool:
    """A span takes so many; so the host's noise drives out neither its rare events nor ours."""
    told = _told.setdefault(span, Counter())
    if told[name] < OF_ONE_NAME and told.total() - told[_LEFT_OUT] < IN_ALL:
        told[name] += 1
        return True
    told[_LEFT_OUT] += 1
    span.set_attribute(names.LOG_EVENTS_LEFT_OUT, told[_LEFT_OUT])
    return False


def _seconds(value: Any) -> float | None:
    """A duration as the host logged it, a number or the text of one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 < seconds <= LONGEST_S else None


def _formatted(message: str, args: Any) -> str:
    try:
        return message % args
    except Exception:
        return message  # logging will say so itself


def _frames() -> Iterator[FrameType]:
    """The frames above that may show where a record comes from."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _by_structlog() -> bool:
    """Whether structlog is handing one of its events on."""
    return "structlog" in sys.modules and any(
        str(frame.f_globals.get("__name__")).startswith("structlog.") for frame in _frames()
    )


def _in_hand(module: str, function: str) -> Any:
    """The record that this function of a log library has in hand further up; None if none."""
    if module not in sys.modules:
        return None
    for frame in _frames():
        if frame.f_code.co_name == function and frame.f_globals.get("__name__") == module:
            return frame.f_locals.get("record")
    return None
