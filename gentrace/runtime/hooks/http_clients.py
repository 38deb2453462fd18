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

from gentrace.runtime import ambient
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks.instrumentors import INSTRUMENTATIONS, once_complete, use
from gentrace.runtime.tracing import GatedTracerProvider

# The host's library -> its instrumentation's class
LIBRARIES = {
    "httpx": "HTTPXClientInstrumentor",
    "requests": "RequestsInstrumentor",
    "aiohttp": "AioHttpClientInstrumentor",
}


def install(engine: Engine, module: ModuleType) -> None:
    """Instrument the library, where its instrumentation is installed and nobody else did."""
    library = module.__name__
    once_complete(engine, library, lambda: _instrument(engine, library))


def _instrument(engine: Engine, library: str) -> None:
    try:
        instrumentation: Any = importlib.import_module(INSTRUMENTATIONS[library])
    except ImportError:
        engine.libraries[library] = "its instrumentation is not installed"
        return
    instrumentor = getattr(instrumentation, LIBRARIES[library])()
    original = instrumentation.inject

    def restore() -> None:
        instrumentation.inject = original

    instrumentation.inject = _injecting(engine, original)
    if not use(engine, library, instrumentor, GatedTracerProvider(engine.tracing), restore):
        restore()


def _injecting(engine: Engine, original: Any) -> Any:
    allowed = set(engine.profile.propagate_to)

    def inject(*args: Any, **kwargs: Any) -> None:
        if allowed and _host() in allowed:
            original(*args, **kwargs)

    return inject


def _host() -> str:
    """The host of the request at work, from its client span."""
    attributes: Any = getattr(ambient.current_span(), "attributes", None) or {}
    for name in ("server.address", "net.peer.name"):
        if attributes.get(name):
            return str(attributes[name])
    url = attributes.get("url.full") or attributes.get("http.url")
    return urlsplit(str(url)).hostname or "" if url else ""
