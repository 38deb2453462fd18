"""The provider's HTTP calls, through OpenTelemetry's httpx, requests and aiohttp instrumentations.

These would put traceparent and baggage on requests to a paid provider: here no header is added,
unless the profile lists the request's host in ``propagate_to``.

Observed on: httpx 0.25 to 0.28, requests 2.31 to 2.32, aiohttp 3.9 to 3.13.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace

from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks.instrumentors import use
from gentrace.runtime.tracing import GatedTracerProvider

# The host's library -> the instrumentation's module and class
LIBRARIES = {
    "httpx": ("opentelemetry.instrumentation.httpx", "HTTPXClientInstrumentor"),
    "requests": ("opentelemetry.instrumentation.requests", "RequestsInstrumentor"),
    "aiohttp": ("opentelemetry.instrumentation.aiohttp_client", "AioHttpClientInstrumentor"),
}


def install(engine: Engine, module: ModuleType) -> None:
    """Instrument the library, where its instrumentation is installed and nobody else did."""
    try:
        instrumentation: Any = importlib.import_module(LIBRARIES[module.__name__][0])
    except ImportError:
        engine.libraries[module.__name__] = "its instrumentation is not installed"
        return
    instrumentor = getattr(instrumentation, LIBRARIES[module.__name__][1])()
    original = instrumentation.inject

    def restore() -> None:
        instrumentation.inject = original

    instrumentation.inject = _injecting(engine, original)
    provider = GatedTracerProvider(engine.tracing)
    if not use(engine, module.__name__, instrumentor, provider, restore):
        restore()


def _injecting(engine: Engine, original: Any) -> Any:
    allowed = set(engine.profile.propagate_to)

    def inject(*args: Any, **kwargs: Any) -> None:
        if allowed and _host() in allowed:
            original(*args, **kwargs)

    return inject


def _host() -> str:
    """The host of the request at work, from its client span."""
    attributes: Any = getattr(trace.get_current_span(), "attributes", None) or {}
    for name in ("server.address", "net.peer.name"):
        if attributes.get(name):
            return str(attributes[name])
    url = attributes.get("url.full") or attributes.get("http.url")
    return urlsplit(str(url)).hostname or "" if url else ""
