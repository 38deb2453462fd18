"""The rule for where spans go, row by row of README's table, and what it costs no span."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gentrace.core import settings
from gentrace.core.scrub import Scrubber
from gentrace.runtime.export import addresses, place
from gentrace.runtime.export.provider import own_provider
from gentrace.runtime.export.router import Router
from tests.runtime.export.conftest import Kit

COLLECTOR = "http://collector:4318"
NAMED = {"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}


class Wrapped(SpanExporter):
    """As a product's own exporter, which keeps OpenTelemetry's under a name of its own."""

    def __init__(self, inner: SpanExporter) -> None:
        self.handed_to = inner

    def export(self, spans: Sequence[Any]) -> Any:
        return self.handed_to.export(spans)

    def shutdown(self) -> None:
        self.handed_to.shutdown()


class InFront(trace.TracerProvider):
    """As logfire's: no SDK class, and one of it inside."""

    def __init__(self, inner: TracerProvider) -> None:
        self.provider = inner

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return self.provider.get_tracer(*args, **kwargs)


class Foreign(trace.TracerProvider):
    """As ddtrace's: no SDK class, and none of it inside."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return trace.NoOpTracer()


@pytest.fixture
def sdk() -> Any:
    """Makes an SDK provider with exporters, and takes it down after the test."""
    made: list[TracerProvider] = []

    def make(*exporters: SpanExporter, batch: bool = True) -> TracerProvider:
        provider = TracerProvider(shutdown_on_exit=False)
        for exporter in exporters:
            kind = BatchSpanProcessor if batch else SimpleSpanProcessor
            provider.add_span_processor(kind(exporter))
        made.append(provider)
        return provider

    yield make
    for provider in made:
        provider.shutdown()


def to(endpoint: str) -> Http:
    return Http(endpoint=f"{endpoint}/v1/traces", timeout=0.01)


def chosen(provider: Any, environ: Mapping[str, str]) -> tuple[str, bool]:
    found = place.choose(provider, settings.read(environ), environ)
    assert found.why
    return found.where, found.apart


# -- the rows of the table -----------------------------------------------------------------
def test_no_provider_of_the_hosts() -> None:
    for environ in ({}, NAMED, {"GENTRACE_PROVIDER": "host"}, {"GENTRACE_PROVIDER": "both"}):
        assert chosen(None, environ) == ("own", False)


@pytest.mark.parametrize("asked", ["own", "host", "both"])
@pytest.mark.parametrize("environ", [{}, NAMED], ids=["nothing named", "named"])
def test_what_is_asked_for_is_done(sdk: Any, asked: str, environ: Mapping[str, str]) -> None:
    elsewhere = sdk(to("http://langfuse:3000/api/public/otel"))
    apart = asked != "host"
    assert chosen(elsewhere, {**environ, "GENTRACE_PROVIDER": asked}) == (asked, apart)


def test_both_is_the_host_where_that_sends_to_our_address_itself(sdk: Any) -> None:
    """Else each span would reach it twice."""
    provider = sdk(InMemorySpanExporter(), to(COLLECTOR))
    assert chosen(provider, {**NAMED, "GENTRACE_PROVIDER": "both"}) == ("host", False)
    assert chosen(provider, {**NAMED, "GENTRACE_PROVIDER": "own"}) == ("own", True)


def test_the_host_where_it_sends_to_the_address_that_is_named(sdk: Any) -> None:
    assert chosen(sdk(to(COLLECTOR)), NAMED) == ("host", False)
    assert chosen(InFront(sdk(to(COLLECTOR))), NAMED) == ("host", False)


@pytest.mark.parametrize("environ", [{}, NAMED], ids=["nothing named", "named"])
def test_our_own_where_the_host_sends_elsewhere(sdk: Any, environ: Mapping[str, str]) -> None:
    for exporter in (to("http://phoenix:6006"), InMemorySpanExporter()):
        assert chosen(sdk(exporter), environ) == ("own", True)
        assert chosen(InFront(sdk(exporter)), environ) == ("own", True)
    assert chosen(sdk(), environ) == ("own", True)


@pytest.mark.parametrize("asked", ["", "own", "host", "both"])
def test_our_own_where_the_hosts_provider_takes_no_spans_of_others(asked: str) -> None:
    environ = {**NAMED, "GENTRACE_PROVIDER": asked}
    assert chosen(Foreign(), environ) == ("own", True)
    assert "Foreign" in place.choose(Foreign(), settings.read(environ), environ).why


def test_a_word_that_is_none_of_the_three_is_said_and_left_out(sdk: Any) -> None:
    read = settings.read({"GENTRACE_PROVIDER": "theirs"})
    assert read.provider == ""
    assert [problem for problem in read.problems if "GENTRACE_PROVIDER='theirs'" in problem]


# -- what is the same address --------------------------------------------------------------
@pytest.mark.parametrize(
    ("exporter", "environ", "same"),
    [
        (to("http://collector:4318"), {"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR + "/"}, True),
        (to("http://COLLECTOR:4318"), NAMED, True),
        (to("http://collector"), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:80"}, True),
        (to("https://collector"), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector"}, False),
        (to("http://localhost:9"), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, True),
        (to("http://collector:4318/x"), NAMED, False),
        (
            Http(endpoint=COLLECTOR + "/mine"),
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": COLLECTOR + "/mine"},
            True,
        ),
        (Grpc(endpoint="http://collector:4318"), NAMED, True),
        (Grpc(endpoint="collector:4317", insecure=True), NAMED, False),
        (
            Grpc(endpoint="collector:4317", insecure=True),
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            True,
        ),
        (Grpc(insecure=True), {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (Http(endpoint="http://localhost:4318/v1/traces"), {"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (Grpc(insecure=True), {}, False),
        (Wrapped(Wrapped(to(COLLECTOR))), NAMED, True),
    ],
)
def test_the_same_address(
    sdk: Any, exporter: SpanExporter, environ: Mapping[str, str], same: bool
) -> None:
    assert chosen(sdk(exporter), environ) == (("host", False) if same else ("own", True))


def test_it_is_found_behind_many_processors(sdk: Any) -> None:
    several = ConcurrentMultiSpanProcessor(1)
    several.add_span_processor(BatchSpanProcessor(Wrapped(to(COLLECTOR))))
    provider = TracerProvider(active_span_processor=several, shutdown_on_exit=False)
    assert [str(one) for one in addresses.sent_to(provider)] == ["collector:4318/v1/traces"]
    several.shutdown()


def test_exporters_that_hold_each_other_are_looked_at_once(sdk: Any) -> None:
    one = Wrapped(InMemorySpanExporter())
    one.handed_to = Wrapped(one)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(one))
    assert addresses.sent_to(provider) == []


# -- the way of each span ------------------------------------------------------------------
class Routed:
    """Our provider beside one of the host's that a test sets."""

    def __init__(self, kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kit, self.moves = kit, list[str]()
        self.host: Any = None
        self.theirs = InMemorySpanExporter()
        monkeypatch.setattr(place, "found", lambda: self.host)
        router = Router(
            kit.pipeline, kit.process, Scrubber(b"key"), lambda _: None,
            lambda at: self.moves.append(at.where),
        )  # fmt: skip
        self.router, self.tracer = router, own_provider(router).get_tracer("gentrace")
        kit.process.become("api")

    def span(self, name: str) -> None:
        self.tracer.start_span(name).end()

    def found(self) -> tuple[list[str], list[str]]:
        """What our exporter has, and what the host's."""
        self.kit.pipeline.force_flush(5_000)
        return self.kit.exporter.spans, [span.name for span in self.theirs.get_finished_spans()]


@pytest.fixture
def routed(kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch) -> Routed:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", COLLECTOR)
    return Routed(kit(), monkeypatch)


def test_a_provider_that_is_set_after_our_first_spans(sdk: Any, routed: Routed) -> None:
    """Its exporter sends where ours does: from then on it gets them, and none goes twice."""
    routed.span("before")
    routed.host = sdk(Wrapped(routed.theirs), batch=False)
    routed.span("beside one for something else")
    routed.host.add_span_processor(BatchSpanProcessor(to(COLLECTOR)))
    routed.span("after")
    routed.host = None
    routed.span("at the end")
    ours = ["before", "beside one for something else", "at the end"]
    assert routed.found() == (ours, ["after"])
    assert routed.moves == ["own", "host", "own"]


def test_both_get_each_once(sdk: Any, routed: Routed) -> None:
    given = dataclasses.replace(routed.kit.pipeline.settings, provider="both")
    routed.kit.pipeline.settings = given
    routed.host = InFront(sdk(routed.theirs, batch=False))
    routed.span("one")
    told: list[bool] = []
    whole = own_provider(routed.router).get_tracer("t").start_span("two")
    routed.router.put(whole, told.append)
    assert routed.found() == (["one", "two"], ["one", "two"])
    assert told == [True]


def test_who_made_a_span_whole_learns_what_the_host_did_with_it(sdk: Any, routed: Routed) -> None:
    routed.host = sdk(routed.theirs, to(COLLECTOR), batch=False)
    told: list[bool] = []
    routed.router.put(own_provider(routed.router).get_tracer("t").start_span("one"), told.append)
    assert (told, routed.found()) == ([True], ([], ["one"]))


def test_spans_that_end_on_our_own_threads_reach_the_host(sdk: Any, routed: Routed) -> None:
    """Those suppress instrumentation, and logfire's processors drop what ends so."""
    from opentelemetry.instrumentation.utils import (
        is_instrumentation_enabled,
        suppress_instrumentation,
    )

    class Dropping(SimpleSpanProcessor):
        def on_end(self, span: Any) -> None:
            if is_instrumentation_enabled():
                super().on_end(span)

    routed.host = sdk(to(COLLECTOR))
    routed.host.add_span_processor(Dropping(routed.theirs))
    with suppress_instrumentation():
        routed.span("one")
        assert not is_instrumentation_enabled()
    assert routed.found() == ([], ["one"])


def test_a_variable_that_makes_a_provider_makes_it_for_the_host_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
    assert place.found() is None
