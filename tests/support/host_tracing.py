"""Starts the small host's API or worker with OpenTelemetry set up in one of a host's ways.

    python -m tests.support.host_tracing SET-UP FILE api|worker ARGUMENTS

The host has spans of its own then: `host.create` and `host.execute` around its own functions, and
those of OpenTelemetry's httpx instrumentation. Each goes to FILE as a line of JSON, by whatever
the set-up has for that; what gentrace gives to the host's provider stands there, too.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

file = Path()


def tell(**span: Any) -> None:
    """One line, written at once."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{json.dumps(span)}\n".encode())
    os.close(descriptor)


class Lines(SpanExporter):
    """Somebody's exporter to a place of its own."""

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        for span in spans:
            scope = span.instrumentation_scope
            parent = 0 if span.parent is None else span.parent.span_id
            tell(
                name=span.name, kind=span.kind.name, scope=scope.name if scope else "",
                trace=span.context.trace_id, id=span.context.span_id, parent=parent,
            )  # fmt: skip
        return SpanExportResult.SUCCESS


# -- the ways ------------------------------------------------------------------------------
def none() -> None:
    """A host that has nothing."""


def elsewhere() -> None:
    """A provider for something else: Langfuse's, Phoenix's, an evaluation tool's."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Lines()))
    trace.set_tracer_provider(provider)


def same_address() -> None:
    """A provider that sends OTLP where the variables say, beside what else it has."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    elsewhere()
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


def logfire() -> None:
    """Pydantic's: a proxy in front of an SDK provider."""
    importlib.import_module("logfire").configure(
        send_to_logfire=False,
        console=False,
        inspect_arguments=False,
        additional_span_processors=[SimpleSpanProcessor(Lines())],
    )


def ddtrace() -> None:
    """Datadog's provider, set by hand: OpenTelemetry's context stays OpenTelemetry's."""
    provider = importlib.import_module("ddtrace.opentelemetry").TracerProvider()
    _tell_of_datadogs()
    trace.set_tracer_provider(provider)


def ddtrace_auto() -> None:
    """Datadog's own way: it instruments libraries, and keeps OpenTelemetry's context itself."""
    importlib.import_module("ddtrace.auto")
    _tell_of_datadogs()


def _tell_of_datadogs() -> None:
    datadogs = importlib.import_module("ddtrace.trace")

    def process_trace(_self: Any, trace: Any) -> None:
        for span in trace:
            tell(
                name=span.resource, kind=span.span_type or "", scope="ddtrace",
                trace=span.trace_id, id=span.span_id, parent=span.parent_id or 0,
            )  # fmt: skip
        # nothing is given on: there is no agent

    told = type("Told", (datadogs.TraceFilter,), {"process_trace": process_trace})
    datadogs.tracer.configure(trace_processors=[told()])


WAYS = {
    way.__name__: way for way in (none, elsewhere, same_address, logfire, ddtrace, ddtrace_auto)
}


# -- the host's own spans ------------------------------------------------------------------
def around(owner: Any, name: str, span: str) -> None:
    """A span of the host's around one of its own functions."""
    original: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(original)
    async def observed(*args: Any, **kwargs: Any) -> Any:
        with trace.get_tracer("host").start_as_current_span(span):
            return await original(*args, **kwargs)

    setattr(owner, name, observed)


def main() -> None:
    global file
    way, named, program, *arguments = sys.argv[1:]
    file = Path(named)
    WAYS[way]()
    if way != "none":
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

        HTTPXClientInstrumentor().instrument()
    services = "pixsim7.backend.main.services"
    creation = importlib.import_module(f"{services}.generation.creation")
    provider = importlib.import_module(f"{services}.provider.provider_service")
    if way != "none":
        around(creation.GenerationCreationService, "create_generation", "host.create")
        around(provider.ProviderService, "execute_generation", "host.execute")
    if program == "api":
        from uvicorn.main import main as run
    else:
        from arq.cli import cli as run
    sys.argv[1:] = arguments
    run()


if __name__ == "__main__":
    main()
