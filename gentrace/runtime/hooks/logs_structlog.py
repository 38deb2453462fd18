"""The trace's ids on structlog's events, whatever the host configures, before or after us.

``BoundLoggerBase._processors`` becomes an attribute that answers, inside a generation's run, with
the host's processors and two of ours among them. So the configuration stays the host's own, caching
loggers are reached, and no frame of ours stands between a processor and its caller, which
``CallsiteParameterAdder`` and ``StackInfoRenderer`` look for. Nothing is bound in structlog's
context variables: what clears them takes nothing away.

The first of ours runs behind ``merge_contextvars`` (which gives way to what is there already) and
ahead of what sends or renders; the second just before the last, which tells the event: what a
processor has dropped is none, what it has redacted is so on the span.

Observed on: structlog 20.2, 23.2 and 26.1 (``structlog/_base.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from types import ModuleType
from typing import Any, cast

from gentrace.runtime import context
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Guard
from gentrace.runtime.hooks.log_events import Found, LogEvents
from gentrace.runtime.hooks.logs import OFF, add_ids, ids

_NAME = "_processors"
_MERGING = ("merge_contextvars", "merge_threadlocal", "merge_threadlocal_context")


class OneEvent:
    """Our two processors for one event."""

    def __init__(self, events: LogEvents, guard: Guard) -> None:
        self._events, self._guard = events, guard
        self._found: Found | None = None
        self._ids: dict[str, str] = {}
        self._well = True

    def first(self, _logger: Any, _method: str, event: Any) -> Any:
        """Adds the ids, and recognises the event while it is what the host logged."""
        try:
            if isinstance(event, MutableMapping):
                fields = cast("MutableMapping[str, Any]", event)
                found = self._events.find(fields.get("event"), fields)
                self._found = found and found._replace(fields=dict(fields))
                self._ids = ids() or {}
                add_ids(fields, self._ids)
        except Exception as exc:
            self._well = False
            self._guard.failed(exc)
        return event

    def last(self, _logger: Any, _method: str, event: Any) -> Any:
        """Keeps the ids where a processor has since put the host's own, and tells the event."""
        try:
            if isinstance(event, MutableMapping):
                fields = cast("MutableMapping[str, Any]", event)
                for name, value in self._ids.items():
                    if name in fields:
                        add_ids(fields, {name: value})
            found, self._found = self._found, None
            if found is not None:
                if isinstance(event, Mapping):
                    found = found._replace(fields=cast("Mapping[str, Any]", event))
                self._events.tell(found)
            if self._well:
                self._guard.passed()
        except Exception as exc:
            self._guard.failed(exc)
        return event


class Among(list[Any]):
    """The host's processors with ours among them, for one event; says what the host's are."""

    def __init__(self, configured: Any, ours: OneEvent) -> None:
        super().__init__(configured)
        merging = [
            index
            for index, processor in enumerate(self)
            if getattr(processor, "__name__", "") in _MERGING
        ]
        first = merging[-1] + 1 if merging else 0
        self.insert(first, ours.first)
        self.insert(max(first + 1, len(self) - 1), ours.last)
        self.configured = configured

    def __repr__(self) -> str:
        return repr(self.configured)


class Processors:
    """The attribute; each logger keeps the host's processors where it always did."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.events = engine, LogEvents(engine)
        self.guard = engine.guard("logs structlog")

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        try:
            configured = vars(instance)[_NAME]
        except KeyError:
            raise AttributeError(_NAME) from None
        return self._among(configured)

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[_NAME] = value.configured if isinstance(value, Among) else value

    def __delete__(self, instance: Any) -> None:
        vars(instance).pop(_NAME, None)

    def _among(self, configured: Any) -> Any:
        if self.guard.off or not self.engine.active or not isinstance(configured, list | tuple):
            return configured
        try:
            scope = context.current()
            if scope is None or scope.run is None:
                return configured
            return Among(configured, OneEvent(self.events, self.guard))
        except Exception as exc:
            self.guard.failed(exc)
            return configured


def install(engine: Engine, module: ModuleType) -> None:
    """Stand where every bound logger of structlog keeps its processors."""
    if not engine.settings.logs:
        engine.libraries["structlog"] = OFF
        return
    if not engine.add(module.BoundLoggerBase, _NAME, Processors(engine)):
        engine.libraries["structlog"] = f"not hooked: its {_NAME} are kept otherwise here"
