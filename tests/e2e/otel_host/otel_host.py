"""The small host with an OpenTelemetry of its own, set up in the way that OTEL_HOST names.

`otel_host:served` is its API. OTEL_HOST_SPANS is a file that gets each of its provider's spans as
a line, DOWNSTREAM the address of a service that its instrumented clients call.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import httpx
import requests
from opentelemetry import trace
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import (
    AsyncOpenTelemetryTransport,
    HTTPXClientInstrumentor,
    SyncOpenTelemetryTransport,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

SET_UP, SPANS, DOWNSTREAM = (os.environ[n] for n in ("OTEL_HOST", "OTEL_HOST_SPANS", "DOWNSTREAM"))
LATE = os.environ.get("OTEL_HOST_LATE") == "1"


class Lines(SpanExporter):
    """Writes each span as a line."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with open(SPANS, "a", encoding="utf-8") as file:
            for span in spans:
                assert span.context is not None
                parent = f"{span.parent.span_id:016x}" if span.parent is not None else ""
                line = {
                    "name": span.name,
                    "kind": span.kind.name,
                    "trace_id": f"{span.context.trace_id:032x}",
                    "span_id": f"{span.context.span_id:016x}",
                    "parent_span_id": parent,
                    "scope": span.instrumentation_scope.name if span.instrumentation_scope else "",
                    "sampled": bool(span.context.trace_flags.sampled),
                }
                file.write(json.dumps(line) + "\n")
        return SpanExportResult.SUCCESS


def set_up() -> None:
    """Give OpenTelemetry the host's provider, or the one that there is the host's exporter."""
    existing = trace.get_tracer_provider()
    provider = existing if isinstance(existing, TracerProvider) else TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Lines()))
    if provider is not existing:
        trace.set_tracer_provider(provider)


if not LATE:
    set_up()
if SET_UP == "before":
    FastAPIInstrumentor().instrument()
    HTTPXClientInstrumentor().instrument()

MAIN = "pixsim7.backend.main"
event_bus: Any = importlib.import_module(f"{MAIN}.infrastructure.events.bus").event_bus
app: Any = importlib.import_module(f"{MAIN}.main").app

if SET_UP == "after":
    FastAPIInstrumentor.instrument_app(app)
    HTTPXClientInstrumentor().instrument()
if SET_UP == "added":
    app.add_middleware(OpenTelemetryMiddleware)

tracer = trace.get_tracer("the host")
Call = Callable[[str], Awaitable[Any]]


async def by_instrumented_client(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        HTTPXClientInstrumentor.instrument_client(client)
        await client.get(url)


async def by_transport(url: str) -> None:
    transport = AsyncOpenTelemetryTransport(httpx.AsyncHTTPTransport())
    async with httpx.AsyncClient(transport=transport) as client:
        await client.get(url)


async def by_sync_transport(url: str) -> None:
    transport = SyncOpenTelemetryTransport(httpx.HTTPTransport())
    with httpx.Client(transport=transport) as client:
        await asyncio.to_thread(client.get, url)


async def by_trace_config(url: str) -> None:
    async with aiohttp.ClientSession(trace_configs=[create_trace_config()]) as session:
        for _ in range(2):  # whatever the first leaves behind, the second has
            async with session.get(url) as answer:
                await answer.read()


async def by_plain_clients(url: str) -> None:
    """What the host has not instrumented; but for httpx where SET_UP is before or after."""
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(url + "/httpx")
    async with aiohttp.ClientSession() as session, session.get(url + "/aiohttp"):
        pass
    with requests.Session() as session:
        session.trust_env = False
        session.get(url + "/requests", timeout=10)


CALLS: dict[str, Call] = {
    "instrument_client": by_instrumented_client,
    "transport": by_transport,
    "sync_transport": by_sync_transport,
    "trace_config": by_trace_config,
    "plain": by_plain_clients,
}


async def call_all(where: str) -> None:
    """One request by each of the host's clients."""
    for name, call in CALLS.items():
        with tracer.start_as_current_span(f"{where} {name}"):
            await call(f"{DOWNSTREAM}/{where}/{name}")


async def calls() -> str:
    with tracer.start_as_current_span("in the handler"):
        await call_all("outside")
    return "done"


async def fails() -> None:
    raise RuntimeError("as was asked")


async def late() -> str:
    set_up()
    return "done"


app.get("/calls")(calls)
app.get("/fails")(fails)
app.post("/set-up")(late)
publish = event_bus.publish


async def publishing(event: str, *args: Any, **kwargs: Any) -> Any:
    """The host's work in a creation."""
    if event == "job:created":
        await call_all("creating")
    return await publish(event, *args, **kwargs)


event_bus.publish = publishing
served: Any = OpenTelemetryMiddleware(app) if SET_UP == "wrapped" else app
assert "gentrace" in sys.modules or os.environ.get("GENTRACE") != "1"
