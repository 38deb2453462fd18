"""The trace configurations that aiohttp's instrumentation adds to each session, for our tracer.

It makes the client span current until the request is over, for everybody, and takes it back in an
order that leaves the host's own ended span behind where a session has a configuration of both. So
ours makes no span current; a session that the host traces has none of ours.

Observed on: opentelemetry-instrumentation-aiohttp-client 0.66b.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry import context as otel_context

from gentrace.runtime import context
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks.client_spans import Asking, ClientTracerProvider, asking


def making(
    engine: Engine, instrumentation: ModuleType, original: Callable[..., Any]
) -> Callable[..., Any]:
    """``create_trace_config``, whose results for our own tracer stay out of the host's way."""
    guard = engine.guard("aiohttp")

    def create_trace_config(*args: Any, **kwargs: Any) -> Any:
        config = original(*args, **kwargs)
        if isinstance(kwargs.get("tracer_provider"), ClientTracerProvider):
            (begin,) = config.on_request_start
            config.on_request_start[:] = [beginning(begin)]
        return config

    def beginning(begin: Callable[..., Any]) -> Callable[..., Any]:
        async def on_request_start(session: Any, seen: Any, params: Any) -> None:
            if guard.off or context.recording() is None:
                return
            try:
                if _is_hosts(session, instrumentation.__name__):
                    return
                with asking(Asking()):
                    await begin(session, seen, params)
                if seen.token is not None:
                    otel_context.detach(seen.token)
                    seen.token = None
                guard.passed()
            except Exception as exc:
                guard.failed(exc)

        return on_request_start

    return create_trace_config


def _is_hosts(session: Any, instrumentation: str) -> bool:
    """Whether the host has given the session a trace configuration of OpenTelemetry's itself."""
    return any(
        getattr(function, "__module__", "") == instrumentation
        for config in session.trace_configs
        for function in config.on_request_start
    )
