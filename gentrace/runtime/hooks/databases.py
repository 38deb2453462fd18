"""SQL inside a run's work: whether it becomes spans, and whose.

OpenTelemetry's instrumentor of SQLAlchemy is the way in; its work is done by listeners of ours
(sql_spans.py), which cost nothing outside a run, reach every engine and serve SQLAlchemy 2.1.

A host that uses OpenTelemetry's instrumentation of SQLAlchemy, before or after us, gets that one's
spans and none of ours. Where that one refuses the version of SQLAlchemy, ours stay.

Observed on: SQLAlchemy 2.0 and 2.1, opentelemetry-instrumentation-sqlalchemy 0.66b.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks import slow_sql
from gentrace.runtime.hooks.instrumentors import BY_HOST, INSTRUMENTATIONS, once_complete
from gentrace.runtime.hooks.sql_spans import SqlSpans
from gentrace.runtime.tracing import GatedTracerProvider


def install(engine: Engine, module: ModuleType) -> None:
    """Make spans of all engines' statements, unless ``GENTRACE_SQL=off`` or the host does."""
    if engine.settings.sql == "off":
        return
    decide = slow_sql.decide if engine.settings.sql == "slow" else None
    spans = SqlSpans(engine, GatedTracerProvider(engine.tracing, decide))
    engine.undo.append(spans.remove)
    name = INSTRUMENTATIONS[module.__name__]
    once_complete(engine, module.__name__, lambda: _instrument(spans))

    def arrived(contrib: ModuleType) -> None:
        _give_way(engine, spans, contrib.SQLAlchemyInstrumentor)

    if name in sys.modules:
        once_complete(engine, module.__name__, lambda: arrived(sys.modules[name]))
    else:
        engine.arrivals.await_module(name, arrived)


def _instrument(spans: SqlSpans) -> None:
    """Through the instrumentor, where its package is installed; the listeners alone otherwise.

    Source: ``BaseInstrumentor``, which keeps one instance a class, 0.66b.
    """
    try:
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    except ImportError:
        spans.install()
        return

    class Listening(SQLAlchemyInstrumentor):
        """The same instrumentor with our listeners: the host may still use its own beside it."""

        _instance = None
        is_ours = True

        def _instrument(self, **kwargs: Any) -> None:
            spans.install()

        def _uninstrument(self, **kwargs: Any) -> None:
            spans.remove()

    Listening().instrument(skip_dep_check=True)


def _give_way(engine: Engine, spans: SqlSpans, instrumentor: Any) -> None:
    """Spans of the host's own instrumentation and ours would be two of each statement."""
    guard = engine.guard("instrumentors")

    def by_host() -> None:
        spans.remove()
        engine.libraries["sqlalchemy"] = BY_HOST

    def instrument(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if getattr(instance, "is_ours", False):
            return wrapped(*args, **kwargs)
        were_in = spans.installed
        try:
            spans.remove()
        except Exception as exc:
            guard.failed(exc)
        try:
            return wrapped(*args, **kwargs)
        finally:
            try:
                if instance.is_instrumented_by_opentelemetry:
                    by_host()
                elif were_in and engine.active:
                    spans.install()
            except Exception as exc:
                guard.failed(exc)

    if instrumentor().is_instrumented_by_opentelemetry:
        by_host()
    engine.replace(instrumentor, "instrument", instrument)
