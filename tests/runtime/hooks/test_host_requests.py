"""Which of the host's own spans a generation may take as the root of its trace."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.trace import NonRecordingSpan, SpanKind

from gentrace.runtime import visibility
from gentrace.runtime.hooks import host_requests


@pytest.fixture(autouse=True)
def _one_place(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """The host's spans and ours go to one place."""
    monkeypatch.setattr(visibility, "is_shared", lambda: True)


Hosts = Callable[..., trace.Tracer]


@pytest.fixture
def hosts() -> Generator[Hosts]:
    """Gives the tracer of a host that has set up its own provider."""
    made: list[TracerProvider] = []

    def tracer(sampler: sampling.Sampler = sampling.ALWAYS_ON) -> trace.Tracer:
        made.append(TracerProvider(sampler=sampler, shutdown_on_exit=False))
        return made[-1].get_tracer("host")

    yield tracer
    for provider in made:
        provider.shutdown()


def test_a_request_without_a_caller_is_taken_once(hosts: Hosts) -> None:
    with hosts().start_as_current_span("POST /", kind=SpanKind.SERVER) as span:
        run = host_requests.take(False)
        assert run is not None
        assert (run.server_span, run.parent) == (span, span.get_span_context())
        assert host_requests.at_work()
        assert host_requests.take(False) is None  # another generation has its own trace


def test_below_a_caller_only_where_callers_are_trusted(hosts: Hosts) -> None:
    sent = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    caller = trace.set_span_in_context(NonRecordingSpan(sent))
    with hosts().start_as_current_span("POST /", caller, kind=SpanKind.SERVER):
        assert host_requests.take(False) is None
        run = host_requests.take(True)
        assert run is not None
        assert run.trace_id == 1


def test_nothing_else_is_taken(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host_requests.take(True) is None
    assert not host_requests.at_work()
    with hosts().start_as_current_span("work"):
        assert host_requests.take(True) is None
    with hosts(sampling.ALWAYS_OFF).start_as_current_span("POST /", kind=SpanKind.SERVER):
        assert host_requests.take(True) is None
    with hosts().start_as_current_span("POST /", kind=SpanKind.SERVER):
        monkeypatch.setattr(visibility, "is_shared", lambda: False)
        assert host_requests.take(True) is None  # it goes another way than ours
