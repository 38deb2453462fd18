"""Stores on one empty Redis, each as another process has it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.runs import reads as module
from gentrace.runtime.runs.settle import Settler
from gentrace.runtime.runs.status import Settling
from gentrace.runtime.runs.store import RunStore
from tests.support.waiting import PATIENCE_S
from tools.servers import RedisServer

RULES = Settling(
    {word: word for word in ("completed", "failed", "cancelled")},
    {"failed": 0.2, "cancelled": 0.2, "completed": 0.05},
    frozenset({"paused"}),
)
Make = Callable[..., RunStore]


@dataclass
class Exporter:
    """Takes the spans that a store writes, or refuses them."""

    spans: list[ReadableSpan] = field(default_factory=list[ReadableSpan])
    takes: bool = True

    def __call__(self, span: ReadableSpan, done: Callable[[bool], None] | None = None) -> None:
        if self.takes:
            self.spans.append(span)
        if done is not None:
            done(self.takes)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def make(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Generator[Make]:
    """Makes stores on an empty Redis; nobody remembers a run."""
    monkeypatch.setattr(module, "READ_TIMEOUT_S", 5.0)
    with redis.Redis(port=redis_server.port) as client:
        client.flushall()
    context.forget_all()
    made: list[RunStore] = []

    def new(url: str = redis_server.url, emit: Exporter | None = None, **options: Any) -> RunStore:
        name = f"process-{len(made)}"
        store = RunStore("t", RULES, url or None, instance=lambda: name, **options)
        if emit is not None:
            Settler(store, emit)
        made.append(store)
        return store

    yield new
    for store in made:
        store.stop(2)
        if (thread := store.thread._thread) is not None:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
    context.forget_all()


def run(generation_id: str | None = "7", trace_id: int = 0xABC, flags: int = 1) -> Run:
    parent = SpanContext(trace_id, 0xDEF, is_remote=False, trace_flags=TraceFlags(flags))
    return Run(generation_id, parent=parent, owned=True)
