"""SQL, through opentelemetry-instrumentation-sqlalchemy, inside a run's work only.

Engines that were made before us are found among all objects (SQLAlchemy keeps no list of them),
and names that the host has given ``create_engine`` already stand for the instrumented one.

Observed on: SQLAlchemy 2.0 (0.66b of the instrumentation refuses 2.1; that is said, not forced).
"""

from __future__ import annotations

import gc
import importlib
from types import ModuleType
from typing import Any

from gentrace.runtime import copies
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks import slow_sql
from gentrace.runtime.hooks.instrumentors import once_complete, use
from gentrace.runtime.tracing import GatedTracerProvider

_MAKERS = (
    ("sqlalchemy", "create_engine"),
    ("sqlalchemy.engine", "create_engine"),
    ("sqlalchemy.ext.asyncio", "create_async_engine"),
)


def install(engine: Engine, module: ModuleType) -> None:
    """Instrument the engines that are there and those to come, unless ``GENTRACE_SQL=off``."""
    if engine.settings.sql == "off":
        return
    # Before create_engine is wrapped: it copies the name, and would trace each engine twice.
    importlib.import_module("sqlalchemy.ext.asyncio")
    late = not getattr(module.__spec__, "_initializing", False)
    once_complete(engine, "sqlalchemy", lambda: _instrument(engine, late))


def _instrument(engine: Engine, late: bool) -> None:
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    decide = slow_sql.decide if engine.settings.sql == "slow" else None
    provider = GatedTracerProvider(engine.tracing, decide)
    found = _engines() if late else []
    if use(engine, "sqlalchemy", SQLAlchemyInstrumentor(), provider, engines=found):
        _see_to_importers(engine, late)


def _engines() -> list[Any]:
    """Every engine; not those of ``execution_options()``, which share their parent's events."""
    from sqlalchemy.engine.base import Engine as SqlEngine
    from sqlalchemy.engine.base import OptionEngineMixin

    return [
        one
        for one in gc.get_objects()
        if issubclass(type(one), SqlEngine) and not issubclass(type(one), OptionEngineMixin)
    ]


def _see_to_importers(engine: Engine, late: bool) -> None:
    """Their names for what makes engines: instrumented until we go, and the original then."""
    makers = [getattr(importlib.import_module(module), name) for module, name in _MAKERS]
    packages = engine.profile.packages
    if late:
        copies.exchange({id(maker.__wrapped__): maker for maker in makers}, packages)
    originals = {id(maker): maker.__wrapped__ for maker in makers}
    engine.undo.append(lambda: copies.give_back(originals, packages))
