"""OpenTelemetry's instrumentors, used without getting in the way of a host that uses them itself.

An instrumentor is a singleton that does nothing when it is asked twice. Where the host (or
opentelemetry-instrument) was first, we leave its instrumentation alone; where it comes after us,
we step back and it gets what it asked for.

Observed on: opentelemetry-instrumentation 0.66b.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.metrics import NoOpMeterProvider

from gentrace.core import names
from gentrace.runtime import ambient, notices
from gentrace.runtime.engine import Engine
from gentrace.runtime.tracing import GatedTracerProvider

BY_HOST = "instrumented by the host"
NO_CONTEXT = "not instrumented: another tracer keeps OpenTelemetry's context here"
INSTRUMENTATIONS = {
    library: f"opentelemetry.instrumentation.{name}"
    for library, name in {
        "sqlalchemy": "sqlalchemy",
        "httpx": "httpx",
        "httpx2": "httpx",
        "requests": "requests",
        "aiohttp": "aiohttp_client",
    }.items()
}
"""The library -> the module of its instrumentation."""

_waiting: dict[str, list[Callable[[], None]]] = {}


def watch(engine: Engine) -> None:
    """Notice when an instrumentation's module has been imported; nothing is imported for it."""
    _waiting.clear()
    for name in {*INSTRUMENTATIONS.values()}:
        engine.arrivals.await_module(name, _complete)


def _complete(module: ModuleType) -> None:
    for work in _waiting.pop(module.__name__, ()):
        work()


def once_complete(engine: Engine, library: str, work: Callable[[], None]) -> None:
    """Do the work that needs the library's instrumentation, as soon as that can be imported.

    Where the host imports an instrumentation before the library, the library arrives in the middle
    of it: its names are not there yet.
    """
    name = INSTRUMENTATIONS[library]
    spec: Any = getattr(sys.modules.get(name), "__spec__", None)
    if not getattr(spec, "_initializing", False):
        work()
        return

    def later() -> None:
        if not engine.active:
            return
        try:
            work()
        except DependencyConflictError as exc:
            engine.libraries[library] = f"{names.REFUSED}{exc}"
        except Exception as exc:
            notices.swallowed(f"hook {library}", exc)

    _waiting.setdefault(name, []).append(later)


def use(
    engine: Engine,
    library: str,
    instrumentor: Any,
    provider: GatedTracerProvider,
    also_undo: Callable[[], None] | None = None,
    **options: Any,
) -> bool:
    """Instrument a library with our provider; False where the host did before.

    Raises:
        DependencyConflictError: the instrumentation refuses the library's version.
    """
    if instrumentor.is_instrumented_by_opentelemetry:
        engine.libraries[library] = BY_HOST
        return False
    if ambient.is_kept_by_another():
        engine.libraries[library] = NO_CONTEXT
        return False

    def undo() -> None:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
        if also_undo is not None:
            also_undo()

    instrumentor.instrument(
        raise_exception_on_conflict=True,
        tracer_provider=provider,
        meter_provider=NoOpMeterProvider(),
        **options,
    )
    engine.undo.append(undo)
    _step_back_later(engine, library, instrumentor, undo)
    return True


def _step_back_later(
    engine: Engine, library: str, instrumentor: Any, undo: Callable[[], None]
) -> None:
    guard = engine.guard("instrumentors")

    def instrument(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if instance is instrumentor and undo in engine.undo and not _ours(kwargs):
            try:
                engine.undo.remove(undo)
                undo()
                engine.libraries[library] = BY_HOST
            except Exception as exc:
                guard.failed(exc)
        return wrapped(*args, **kwargs)

    engine.replace(type(instrumentor), "instrument", instrument)


def _ours(options: dict[str, Any]) -> bool:
    return isinstance(options.get("tracer_provider"), GatedTracerProvider)
