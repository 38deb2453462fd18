"""The provider's HTTP calls, through OpenTelemetry's instrumentations of httpx and its likes.

These would put traceparent and baggage on requests to a paid provider: here no header is added,
unless the profile lists the request's host in ``propagate_to``. A client that the host instruments
itself, or a request that it injects into, gets every header that it would get without us.

Observed on: httpx 0.25 to 0.28, httpx2 2.0 and 2.16, requests 2.31 to 2.32, aiohttp 3.9 to 3.13.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context as otel_context
from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.engine import Engine
from gentrace.runtime.hooks import aiohttp_sessions
from gentrace.runtime.hooks.client_spans import ASKING, ClientTracerProvider
from gentrace.runtime.hooks.instrumentors import INSTRUMENTATIONS, once_complete, use

# The host's library -> its instrumentation's class
LIBRARIES = {
    "httpx": "HTTPXClientInstrumentor",
    "httpx2": "HTTPX2ClientInstrumentor",
    "requests": "RequestsInstrumentor",
    "aiohttp": "AioHttpClientInstrumentor",
}
EXTRAS = frozenset({"aiohttp"})
"""Libraries whose instrumentation does not come along unasked."""
_HOP = otel_context.create_key("gentrace.requests")
# An instrumentation's module -> what stood there before ours, and a mark for each use of ours
_sharing: dict[str, tuple[dict[str, Any], set[object]]] = {}


def install(engine: Engine, module: ModuleType) -> None:
    """Instrument the library, where its instrumentation is installed and nobody else did."""
    library = module.__name__
    once_complete(engine, library, lambda: _instrument(engine, library))


def _instrument(engine: Engine, library: str) -> None:
    try:
        instrumentation: Any = importlib.import_module(INSTRUMENTATIONS[library])
    except ImportError:
        wanted = f"gentrace[{library}]" if library in EXTRAS else "gentrace"
        engine.libraries[library] = f"{names.LACKS_EXTRA}'{wanted}'"
        engine.process.lacks(library, wanted)
        return
    if not hasattr(instrumentation, LIBRARIES[library]):
        engine.libraries[library] = "its instrumentation knows no such library; it is too old"
        return
    instrumentor = getattr(instrumentation, LIBRARIES[library])()
    ours = {"inject": _injecting(engine, instrumentation.inject)}
    if library == "requests":
        ours |= _of_requests(instrumentation.is_http_instrumentation_enabled)
    if library == "aiohttp":
        made = instrumentation.create_trace_config
        ours["create_trace_config"] = aiohttp_sessions.making(engine, instrumentation, made)
    name = instrumentation.__name__
    originals, sharing = _sharing.setdefault(
        name, ({each: getattr(instrumentation, each) for each in ours}, set())
    )
    if not sharing:
        vars(instrumentation).update(ours)
    mark = object()
    sharing.add(mark)

    def restore() -> None:
        sharing.discard(mark)
        if not sharing and _sharing.pop(name, None) is not None:
            vars(instrumentation).update(originals)

    used = False
    try:
        used = use(engine, library, instrumentor, ClientTracerProvider(engine.tracing), restore)
    finally:
        if not used:
            restore()


def _injecting(engine: Engine, original: Callable[..., None]) -> Callable[..., None]:
    def inject(*args: Any, **kwargs: Any) -> None:
        asking: Any = otel_context.get_value(ASKING)
        if asking is None or not asking.is_innermost():
            original(*args, **kwargs)  # the host's own
        elif (allowed := engine.profile.propagate_to) and _host(asking.span) in allowed:
            original(*args, **{**kwargs, "context": trace.set_span_in_context(asking.span)})

    return inject


def _host(span: Any) -> str:
    """The host of the request at work, from its client span."""
    attributes: Any = getattr(span, "attributes", None) or {}
    for name in ("server.address", "net.peer.name"):
        if attributes.get(name):
            return str(attributes[name])
    url = attributes.get("url.full") or attributes.get("http.url")
    return urlsplit(str(url)).hostname or "" if url else ""


def _of_requests(is_enabled: Callable[[], bool]) -> dict[str, Callable[..., Any]]:
    """What the instrumentation of requests is given, of which the module has one use only: ours.

    It would switch off whatever the host has instrumented below it (urllib3), so that a redirect
    makes no second span. Outside a generation it has nothing to do.
    """

    def is_http_instrumentation_enabled() -> bool:
        if otel_context.get_value(_HOP) or context.recording() is None:
            return False
        return is_enabled()

    @contextmanager
    def suppress_http_instrumentation() -> Generator[None]:
        token = otel_context.attach(otel_context.set_value(_HOP, True))
        try:
            yield
        finally:
            context.leave(token)

    return {
        "is_http_instrumentation_enabled": is_http_instrumentation_enabled,
        "suppress_http_instrumentation": suppress_http_instrumentation,
    }
