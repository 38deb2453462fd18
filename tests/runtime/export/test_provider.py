"""Our own tracer provider, whatever the variables say."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from gentrace.core.scrub import Scrubber
from gentrace.core.settings import BOTH, HOST, OWN
from gentrace.runtime.export import place, quiet
from gentrace.runtime.export.provider import own_provider, routed_provider
from gentrace.runtime.export.router import Router
from tests.runtime.export.conftest import Kit


class Ended(SpanProcessor):
    def __init__(self) -> None:
        self.attributes: list[dict[str, Any]] = []

    def on_end(self, span: Any) -> None:
        self.attributes.append(dict(span.attributes))


def test_the_sampler_is_what_the_variables_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert "AlwaysOff" in own_provider(Ended()).sampler.get_description()
    quiet.undo()


def test_a_sampler_that_nobody_knows_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "sometimes")
    assert "ParentBased" in own_provider(Ended()).sampler.get_description()
    assert caplog.messages == []
    quiet.undo()


@pytest.mark.parametrize("value", ["-1", "many"])
def test_limits_that_are_no_numbers_are_said_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", value)
    ended = Ended()
    for _ in range(2):
        own_provider(ended).get_tracer("t").start_span("a", attributes={"k": "v" * 9}).end()
    assert ended.attributes == [{"k": "v" * 9}] * 2
    assert capsys.readouterr().err.count("OTEL_ATTRIBUTE_COUNT_LIMIT") == 1
    quiet.undo()


def test_limits_that_are_set_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    ended = Ended()
    own_provider(ended).get_tracer("t").start_span("a", attributes={"k": "v" * 9}).end()
    assert ended.attributes == [{"k": "vvv"}]
    quiet.undo()


class Numbered(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        return 7


def in_place_of(one: Kit, host: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    """Our provider while the host's gets our spans."""
    monkeypatch.setattr(place, "found", lambda: host)
    scrubber = Scrubber(b"key")
    return routed_provider(Router(one.pipeline, one.process, scrubber, lambda _spans: None))


@pytest.mark.parametrize("beside", [False, True], ids=["our own", "in the host's"])
def test_a_host_that_seeds_random_draws_what_it_draws_without_us(
    kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    provider = own_provider(Ended())
    if beside:
        host = TracerProvider(shutdown_on_exit=False)
        provider = in_place_of(kit(provider=HOST), host, monkeypatch)
    tracer = provider.get_tracer("t")
    drawn: list[float] = []
    ids: set[int] = set()
    state = random.getstate()
    try:
        for _ in range(2):
            random.seed(42)
            ids.add(tracer.start_span("a").get_span_context().trace_id)
            drawn.append(random.random())
        random.seed(42)
        assert drawn == [random.random()] * 2
    finally:
        random.setstate(state)
    assert len(ids) == 2
    quiet.undo()


def test_a_host_that_makes_its_own_ids_makes_ours(
    kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = TracerProvider(id_generator=Numbered(), shutdown_on_exit=False)
    ours = in_place_of(kit(provider=HOST), host, monkeypatch)
    assert ours.get_tracer("t").start_span("a").get_span_context().trace_id == 7
    quiet.undo()


@pytest.mark.parametrize(("provider", "kept"), [(HOST, False), (BOTH, True), (OWN, True)])
def test_the_hosts_sampler_decides_where_only_the_host_gets_our_spans(
    kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch, provider: str, kept: bool
) -> None:
    host = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    ours = in_place_of(kit(provider=provider), host, monkeypatch)
    assert ours.get_tracer("t").start_span("a").get_span_context().trace_flags.sampled is kept
    quiet.undo()
