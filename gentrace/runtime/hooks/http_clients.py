"""The provider's HTTP calls, through OpenTelemetry's instrumentations of httpx and its likes.

These would put traceparent and baggage on requests to a paid provider: here no header is added,
unless the profile lists the request's host in ``propagate_to``.

Observed on: httpx 0.25 to 0.28, httpx2 2.0 and 2.16, requests 2.31 to 2.32, aiohttp 3.9 to 3.13.
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
    "httpx2": "HTTPX2ClientInstrumentor",
    "requests": "RequestsInstrumentor",
    "aiohttp": "AioHttpClientInstrumentor",
}
# An instrumentation's module -> its own ``inject``, and the libraries for which ours stands there
_sharing: dict[str, tuple[Any, set[str]]] = {}


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
    if not hasattr(instrumentation, LIBRARIES[library]):
        engine.libraries[library] = "its instrumentation knows no such library; it is too old"
        return
    instrumentor = getattr(instrumentation, LIBRARIES[library])()
    name = instrumentation.__name__
    original, sharing = _sharing.setdefault(name, (instrumentation.inject, set()))
    if not sharing:
        instrumentation.inject = _injecting(engine, original)
    sharing.add(library)

    def restore() -> None:
        sharing.discard(library)
        if not sharing and _sharing.pop(name, None) is not None:
            instrumentation.inject = original

    used = False
    try:
        used = use(engine, library, instrumentor, GatedTracerProvider(engine.tracing), restore)
    finally:
        if not used:
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
