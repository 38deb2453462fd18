"""Our ASGI middleware is no OpenTelemetry middleware to those who look for one; the host's is."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from gentrace.runtime.hooks import unseen
from gentrace.runtime.tracing import GatedTracerProvider
from gentrace.runtime.wrapping import replace

OURS: Any = GatedTracerProvider(None)  # pyright: ignore[reportArgumentType]


class Beside:
    """What of the engine and of a guard is used."""

    def __init__(self) -> None:
        self.undo: list[Any] = []
        self.met: list[Exception] = []

    def replace(self, owner: Any, name: str, wrapper: Any) -> None:
        self.undo.append(replace(owner, name, wrapper, lambda: True))

    def failed(self, exc: Exception) -> None:
        self.met.append(exc)


@pytest.fixture
def beside() -> Generator[Beside]:
    one: Any = Beside()
    unseen.tell_apart(one, one)
    yield one
    for undo in one.undo:
        undo()


def looks_like_opentelemetrys(provider: Any) -> bool:
    """As FastAPI asks, which then makes no spans of its own."""
    made = OpenTelemetryMiddleware(
        lambda *_: None, tracer_provider=provider, meter_provider=NoOpMeterProvider()
    )
    assert isinstance(made, OpenTelemetryMiddleware)
    kind = type(made)
    return (kind.__module__, kind.__name__) == (
        "opentelemetry.instrumentation.asgi",
        "OpenTelemetryMiddleware",
    )


def test_ours_and_the_hosts(beside: Beside) -> None:
    assert not looks_like_opentelemetrys(OURS)
    assert looks_like_opentelemetrys(NoOpTracerProvider())
    assert beside.met == []


def test_one_that_cannot_be_told_apart_is_made_all_the_same(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unseen, "GatedTracer", "no class")
    assert looks_like_opentelemetrys(OURS)
    assert [type(exc) for exc in beside.met] == [TypeError]
