"""httpx2 is traced as httpx is, and no header goes along with either."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.fresh import run

Fresh = Callable[[str], CompletedProcess[str]]

ASKING = """
    import asyncio, threading
    from http.server import BaseHTTPRequestHandler, HTTPServer
    import gentrace
    from gentrace.core import names
    from gentrace.runtime import context, startup
    from gentrace.runtime.tracing import below
    from opentelemetry.sdk.trace import TracerProvider

    received, spans = [], []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            received.append({name.lower() for name in self.headers})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_given):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/x"

    class Keeps:
        def on_start(self, span, parent_context=None): pass
        def on_end(self, span): spans.append(span)
        def shutdown(self): pass
        def force_flush(self, timeout_millis=0): return True
        def _on_ending(self, span): pass

    async def ask(client):
        "One request each way in a generation's work; the spans that came of it."
        spans.clear()
        tracing = startup.session().engine.tracing
        run = context.Run("7")
        outer = tracing.start("outer", run, parent=below(None))
        scope = context.Scope("job", run, "job:x")
        token = context.enter(scope, outer)
        try:
            with client.Client() as one:
                one.get(url)
            async with client.AsyncClient() as one:
                await one.get(url)
        finally:
            context.leave(token)
        return [(s.name, s.kind.name, s.attributes["http.url"] == url) for s in spans]

    def hooked():
        assert gentrace.instrument()
        import pixsim7.backend.main
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(Keeps())
        startup.session().engine.tracing._provider = provider

    TWO = [("GET", "CLIENT", True)] * 2
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    """Runs a program in a fresh interpreter."""
    return partial(run, folder=tmp_path)


@pytest.mark.parametrize("order", ["before us", "after us"])
def test_a_request_by_httpx2_is_a_span_without_a_header(fresh: Fresh, order: str) -> None:
    fresh(
        ASKING
        + f"""
    if {order == "before us"}:
        import httpx2, httpx
    hooked()
    import httpx, httpx2
    import opentelemetry.instrumentation.httpx as contrib
    transports = (httpx2.HTTPTransport, httpx2.AsyncHTTPTransport)
    for client in (httpx2, httpx):
        assert asyncio.run(ask(client)) == TWO, spans
    assert len(received) == 4 and not any("traceparent" in names for names in received)
    assert startup.session().engine.libraries["httpx2"] == "hooked"
    gentrace.uninstrument()
    assert contrib.inject.__module__ == "opentelemetry.propagate"
    for transport in transports:
        assert not hasattr(transport.__dict__.get("handle_request"), "__wrapped__")
        assert not hasattr(transport.__dict__.get("handle_async_request"), "__wrapped__")
    server.shutdown()
    """
    )


@pytest.mark.parametrize("first", ["HTTPXClientInstrumentor", "HTTPX2ClientInstrumentor"])
def test_where_the_host_instruments_one_of_the_two_the_other_stays_ours(
    fresh: Fresh, first: str
) -> None:
    other = "httpx" if first == "HTTPX2ClientInstrumentor" else "httpx2"
    fresh(
        ASKING
        + f"""
    hooked()
    import httpx, httpx2
    import opentelemetry.instrumentation.httpx as contrib
    contrib.{first}().instrument()
    assert asyncio.run(ask({other})) == TWO
    assert not any("traceparent" in names for names in received)
    contrib.{first}().uninstrument()
    gentrace.uninstrument()
    assert contrib.inject.__module__ == "opentelemetry.propagate"
    server.shutdown()
    """
    )


def test_a_version_that_is_refused_is_said_and_leaves_all_as_it_was(fresh: Fresh) -> None:
    done = fresh(
        ASKING
        + """
    import opentelemetry.instrumentation.httpx as contrib
    for kind in (contrib.HTTPXClientInstrumentor, contrib.HTTPX2ClientInstrumentor):
        kind._instrumentation_dependencies = (f"{kind._module_name} >= 99",)
    hooked()
    import httpx, httpx2
    libraries = startup.session().engine.libraries
    assert libraries["httpx"].startswith(names.REFUSED), libraries
    assert libraries["httpx2"].startswith(names.REFUSED), libraries
    assert contrib.inject.__module__ == "opentelemetry.propagate"
    assert asyncio.run(ask(httpx2)) == []
    server.shutdown()
    """
    )
    assert "httpx2 is not instrumented" in done.stderr
