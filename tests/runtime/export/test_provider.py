"""Our own tracer provider, whatever the variables say."""

from __future__ import annotations

import random
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from gentrace.core.scrub import Scrubber
from gentrace.runtime.export import quiet
from gentrace.runtime.export.handover import Handover, provider_beside
from gentrace.runtime.export.provider import own_provider


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


def beside(host: TracerProvider) -> TracerProvider:
    return provider_beside(host, Handover(host, Scrubber(b"key")))


@pytest.mark.parametrize(
    "provider",
    [lambda: own_provider(Ended()), lambda: beside(TracerProvider(shutdown_on_exit=False))],
    ids=["our own", "beside the host's"],
)
def test_a_host_that_seeds_random_draws_what_it_draws_without_us(provider: Any) -> None:
    tracer = provider().get_tracer("t")
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


def test_a_host_that_makes_its_own_ids_makes_ours() -> None:
    host = TracerProvider(id_generator=Numbered(), shutdown_on_exit=False)
    assert beside(host).get_tracer("t").start_span("a").get_span_context().trace_id == 7
