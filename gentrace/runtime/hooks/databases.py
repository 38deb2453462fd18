"""SQL, through opentelemetry-instrumentation-sqlalchemy, inside a run's work only.

Observed on: SQLAlchemy 2.0 (0.66b of the instrumentation refuses 2.1; that is said, not forced).
"""

from __future__ import annotations

from types import ModuleType

from opentelemetry.metrics import NoOpMeterProvider

from gentrace.runtime.engine import Engine
from gentrace.runtime.tracing import GatedTracerProvider


def install(engine: Engine, module: ModuleType) -> None:
    """Instrument every engine made from now on, unless ``GENTRACE_SQL=off``."""
    if engine.settings.sql == "off":
        return
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    instrumentor = SQLAlchemyInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        return
    instrumentor.instrument(
        raise_exception_on_conflict=True,
        tracer_provider=GatedTracerProvider(engine.tracing),
        meter_provider=NoOpMeterProvider(),
    )
    engine.undo.append(instrumentor.uninstrument)
