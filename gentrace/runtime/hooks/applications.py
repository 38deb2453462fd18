"""The host's FastAPI applications, as they were before they were instrumented.

Source: ``FastAPIInstrumentor.uninstrument_app`` and ``._uninstrument``, 0.66b.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider


class Applications:
    """Leaves the applications as they were, where the instrumentation does not.

    Uninstrumenting builds an application's middlewares, after which it takes no more of them, and
    forgets what belongs to applications that are gone.
    """

    def __init__(self) -> None:
        self._listed: Any = None
        self._instrumented: list[Any] = []
        self._unstarted: list[Any] = []

    def note(self) -> None:
        """Which applications there are, and which of them have not started."""
        from opentelemetry.instrumentation import fastapi

        self._listed = getattr(fastapi, "_InstrumentedFastAPI", None)
        self._instrumented = list(getattr(self._listed, "_instrumented_fastapi_apps", ()))
        self._unstarted = [app for app in self._instrumented if app.middleware_stack is None]

    def give_back(self) -> None:
        """After they were uninstrumented."""
        from starlette.background import BackgroundTask

        for app in self._unstarted:
            app.middleware_stack = None
        for app in self._instrumented:
            own = vars(app).get("build_middleware_stack")
            if getattr(own, "__func__", None) is type(app).build_middleware_stack:
                del app.build_middleware_stack
            vars(app).pop("_is_instrumented_by_opentelemetry", None)
        original = vars(BackgroundTask).get("_otel_original_call")
        if original is not None:
            BackgroundTask.__call__ = original
            del BackgroundTask._otel_original_call  # pyright: ignore[reportAttributeAccessIssue]
        if self._listed is not None:  # who kept that class gets applications without us
            self._listed._instrument_kwargs = {
                "tracer_provider": NoOpTracerProvider(),
                "meter_provider": NoOpMeterProvider(),
            }
        self._instrumented, self._unstarted = [], []
