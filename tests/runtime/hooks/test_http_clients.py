"""The headers of outgoing requests, and what stands around a request while it is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation import aiohttp_client
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.sdk.trace import TracerProvider
from requests.adapters import HTTPAdapter

from gentrace.runtime import context, visibility
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.tracing import below
from tests.support.downstream import Downstream, downstream
from tests.support.host import SmallHost

Call = Callable[[str], Awaitable[Any]]


@pytest.fixture
def service() -> Generator[Downstream]:
    """Who is called."""
    with downstream() as running:
        yield running


@pytest.fixture
def hosts() -> Generator[TracerProvider]:
    """A provider of the host's own."""
    provider = TracerProvider(shutdown_on_exit=False)
    yield provider
    provider.shutdown()


@contextmanager
def a_generation(host: SmallHost) -> Generator[trace.SpanContext]:
    """In a run's work, with a span."""
    span = host.session.engine.tracing.start("outer", None, parent=below(None))
    run = Run("1", parent=span.get_span_context(), owned=True)
    token = context.enter(Scope("job", run, "job:x"), span)
    try:
        yield span.get_span_context()
    finally:
        context.leave(token)
        span.end()


async def by_httpx(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(url)


async def by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url):
        pass


async def by_requests(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, timeout=10)


CALLS: dict[str, Call] = {"httpx": by_httpx, "aiohttp": by_aiohttp, "requests": by_requests}
calls = pytest.mark.parametrize("library", CALLS)


def carried(service: Downstream) -> list[bool]:
    """Whether each request carried a trace."""
    return ["traceparent" in headers for _, headers in service.seen]


@calls
async def test_our_own_spans_add_no_header(
    host: SmallHost, service: Downstream, hosts: TracerProvider, library: str
) -> None:
    with a_generation(host):
        await CALLS[library](service.url)
    with hosts.get_tracer("host").start_as_current_span("of the host"):
        await CALLS[library](service.url)  # it has not instrumented that client
        with a_generation(host):
            await CALLS[library](service.url)
    assert carried(service) == [False] * 3
    assert [span.kind.name for span in host.spans()].count("CLIENT") == 2


@calls
async def test_a_listed_host_gets_the_generations_trace(
    host: SmallHost, service: Downstream, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = host.session.engine
    monkeypatch.setattr(engine, "profile", replace(engine.profile, propagate_to=("127.0.0.1",)))
    with a_generation(host) as outer:
        await CALLS[library](service.url)
    ((_, headers),) = service.seen
    assert int(headers["traceparent"].split("-")[1], 16) == outer.trace_id


async def test_a_client_that_the_host_instruments_keeps_its_header(
    host: SmallHost, service: Downstream, hosts: TracerProvider
) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            HTTPXClientInstrumentor.instrument_client(client, tracer_provider=hosts)
            await client.get(service.url)

    await ask()
    with a_generation(host):
        await ask()
    assert carried(service) == [True, True]


@pytest.mark.parametrize("inside", [False, True])
async def test_a_session_that_the_host_traces_leaves_nothing_behind(
    host: SmallHost, service: Downstream, hosts: TracerProvider, inside: bool
) -> None:
    config = aiohttp_client.create_trace_config(tracer_provider=hosts)
    with a_generation(host) if inside else hosts.get_tracer("host").start_as_current_span("x"):
        before = otel_context.get_current()
        async with aiohttp.ClientSession(trace_configs=[config]) as session:
            for _ in range(2):
                async with session.get(service.url):
                    pass
        assert otel_context.get_current() == before
    assert carried(service) == [True, True]


@calls
async def test_outside_a_generation_nothing_is_current_but_the_hosts(
    host: SmallHost, service: Downstream, hosts: TracerProvider, library: str
) -> None:
    with hosts.get_tracer("host").start_as_current_span("of the host") as span:
        await CALLS[library](service.url)
        assert trace.get_current_span() is span
    assert host.spans() == []


class Looking(HTTPAdapter):
    """Notes what an instrumentation below requests would find."""

    def __init__(self) -> None:
        super().__init__()
        self.enabled: list[bool] = []

    def send(self, *args: Any, **kwargs: Any) -> Any:
        self.enabled.append(is_http_instrumentation_enabled())
        return super().send(*args, **kwargs)


async def test_requests_below_are_instrumented_as_the_host_has_it(
    host: SmallHost, service: Downstream
) -> None:
    looking = Looking()
    with requests.Session() as session, a_generation(host):
        session.trust_env = False
        session.mount("http://", looking)
        session.get(f"{service.url}/again/there", timeout=10)
    assert looking.enabled == [True, True]
    assert [path for path, _ in service.seen] == ["/again/there", "/there"]
    assert [span.kind.name for span in host.spans()].count("CLIENT") == 1  # one for the redirect


async def test_in_a_shared_provider_a_request_has_one_span(
    host: SmallHost, service: Downstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: Any = host.session.engine.tracing.provider
    async with httpx.AsyncClient(trust_env=False) as client:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=own)
        monkeypatch.setattr(visibility, "is_shared", lambda: True)
        with a_generation(host):
            await client.get(service.url)
    assert [span.kind.name for span in host.spans()].count("CLIENT") == 1
    assert carried(service) == [True]
