"""Runs in the host's own environment: starts it with an OpenTelemetry of its own, set up before it.

    python traced_start.py uvicorn|arq ARGUMENTS

HOSTS_OTLP is where its provider sends, HOSTS_SERVICE its service name. It has spans of its own:
those of OpenTelemetry's instrumentations of FastAPI and of the HTTP clients, with their headers on
what the clients send.
"""

from __future__ import annotations

import os
import runpy
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def main() -> None:
    """Sets up, then is the program that was named."""
    provider = TracerProvider(
        resource=Resource.create({"service.name": os.environ["HOSTS_SERVICE"]})
    )
    exporter = OTLPSpanExporter(endpoint=os.environ["HOSTS_OTLP"])
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    FastAPIInstrumentor().instrument()
    HTTPXClientInstrumentor().instrument()
    RequestsInstrumentor().instrument()
    program = sys.argv[1]
    del sys.argv[0]
    sys.path[0] = os.getcwd()  # as `python -m` has it
    runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
