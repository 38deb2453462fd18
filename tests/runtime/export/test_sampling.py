"""A run is sampled as its creation was, whatever another process's sampler would say."""

from __future__ import annotations

import time

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from gentrace.runtime.context import Run
from gentrace.runtime.export.sampling import Decided, as_decided
from gentrace.runtime.tracing import LATE_NS, below, under

SAMPLERS = [pytest.param(ALWAYS_ON, id="on"), pytest.param(ALWAYS_OFF, id="off")]


def parent(sampled: bool) -> SpanContext:
    return SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(int(sampled)))


def started(sampler: Sampler, context: otel_context.Context, kind: SpanKind) -> bool:
    """Whether a span that starts there is sampled."""
    tracer = TracerProvider(sampler=Decided(sampler), shutdown_on_exit=False).get_tracer("t")
    span = tracer.start_span("s", context=context, kind=kind, attributes={"a": 1})
    return span.get_span_context().trace_flags.sampled


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("sampled", [True, False])
def test_what_hangs_under_a_run_is_sampled_as_that_is(sampler: Sampler, sampled: bool) -> None:
    for kind in (SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER):
        assert started(sampler, below(parent(sampled)), kind) is sampled


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_sampler_decides_on_roots_and_on_requests(sampler: Sampler) -> None:
    own = sampler is ALWAYS_ON
    assert started(sampler, below(None), SpanKind.INTERNAL) is own
    assert started(sampler, below(None), SpanKind.SERVER) is own
    assert started(sampler, below(parent(not own)), SpanKind.SERVER) is own  # a trusted caller's


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("sampled", [True, False])
def test_a_trace_of_its_own_long_after_the_end_is_sampled_as_the_run_was(
    sampler: Sampler, sampled: bool
) -> None:
    run = Run("7", parent=parent(sampled), ended_ns=time.time_ns() - 2 * LATE_NS)
    context, links = under(run)
    assert not trace.get_current_span(context).get_span_context().is_valid
    assert [link.context.trace_id for link in links] == [0xABC]
    assert started(sampler, context, SpanKind.INTERNAL) is sampled
    assert started(sampler, as_decided(not sampled, context), SpanKind.INTERNAL) is not sampled
