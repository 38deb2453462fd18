"""SQL, through opentelemetry-instrumentation-sqlalchemy, inside a run's work only.

Observed on: SQLAlchemy 2.0 (0.66b of the instrumentation refuses 2.1; that is said, not forced).
"""

from __future__ import annotations

import importlib
from types import ModuleType

from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks.instrumentors import use
from gentrace.runtime.tracing import GatedTracerProvider


def install(engine: Engine, module: ModuleType) -> None:
    """Instrument every engine made from now on, unless ``GENTRACE_SQL=off``."""
    if engine.settings.sql == "off":
        return
    # Before create_engine is wrapped: it copies the name, and would trace each engine twice.
    importlib.import_module("sqlalchemy.ext.asyncio")
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    provider = GatedTracerProvider(engine.tracing)
    use(engine, "sqlalchemy", SQLAlchemyInstrumentor(), provider)
