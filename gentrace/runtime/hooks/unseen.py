"""Our ASGI middleware, told apart from the host's own.

FastAPI makes spans itself from 0.165 on, unless it finds OpenTelemetry's middleware in the
application: ours would silence what the host had without us. And where the host's spans go another
way than ours, the host's code sees the context that it would see without us.

Source: ``fastapi.telemetry._asgi._legacy_otel``, fastapi 0.165, which asks for module and name.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context

from gentrace.runtime.engine import Engine
from gentrace.runtime.tracing import GatedTracer

outside: ContextVar[otel_context.Context] = ContextVar("gentrace.requests.outside")
"""The host's context around the middleware."""


def tell_apart(engine: Engine, guard: Any) -> None:
    """Give our middlewares a class of their own; the host's stay as they are."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    class Unseen(OpenTelemetryMiddleware):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            token = outside.set(otel_context.get_current())
            try:
                await super().__call__(scope, receive, send)
            finally:
                outside.reset(token)

    def made(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        try:
            is_ours = isinstance(getattr(instance, "tracer", None), GatedTracer)
            if is_ours and type(instance) is OpenTelemetryMiddleware:
                instance.__class__ = Unseen
        except Exception as exc:
            guard.failed(exc)

    engine.replace(OpenTelemetryMiddleware, "__init__", made)
