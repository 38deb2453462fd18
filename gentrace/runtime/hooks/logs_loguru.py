"""The trace's ids on loguru's records, whatever the host configures, before or after us.

They are added to ``extra`` when the first sink gets the record: the host's patchers have run by
then, and every sink shows what its format asks for. ``Core.patcher`` becomes an attribute that
answers with the host's own: loguru asks for it once a record is made, which is how we know the
first sink from the next. What a patcher has redacted is so on the span.

Observed on: loguru 0.7 (``loguru/_logger.py``, ``loguru/_handler.py``).
"""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

from gentrace.runtime import context
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks.log_events import LogEvents
from gentrace.runtime.hooks.logs import OFF, add_ids, ids

_NAME = "patcher"


class _Begun(threading.local):
    """Whether this thread has a record that no sink has got yet."""

    record = False


class Patcher:
    """The attribute; each core keeps the host's patcher where it always did."""

    def __init__(self, begun: _Begun) -> None:
        self._begun = begun

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        self._begun.record = True
        try:
            return vars(instance)[_NAME]
        except KeyError:
            raise AttributeError(_NAME) from None

    def __set__(self, instance: Any, value: Any) -> None:
        vars(instance)[_NAME] = value

    def __delete__(self, instance: Any) -> None:
        vars(instance).pop(_NAME, None)


def install(engine: Engine, module: ModuleType) -> None:
    """Stand where every sink gets its records."""
    if not engine.settings.logs:
        engine.libraries["loguru"] = OFF
        return
    loguru: Any = module
    begun = _Begun()
    if not engine.add(loguru._logger.Core, _NAME, Patcher(begun)):
        engine.libraries["loguru"] = f"not hooked: its {_NAME} is kept otherwise here"
        return
    events, guard = LogEvents(engine), engine.guard("logs loguru")

    def emit(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        try:
            if begun.record and not guard.off:
                begun.record = False
                scope = context.current()
                if scope is not None and scope.run is not None:
                    record = args[0] if args else kwargs["record"]
                    add_ids(record["extra"], ids() or {})
                    events.of_loguru(record["message"], record["extra"])
                    guard.passed()
        except Exception as exc:
            guard.failed(exc)
        return wrapped(*args, **kwargs)

    engine.replace(loguru._handler.Handler, "emit", emit)
