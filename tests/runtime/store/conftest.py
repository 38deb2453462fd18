"""Stores on one empty Redis, each as another process has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from gentrace.core.run.rules import Settling
from gentrace.core.run.run import Run as StoredRun
from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.store import find, settle
from gentrace.runtime.store import store as store_module
from gentrace.runtime.store.dead import Undertaker
from gentrace.runtime.store.keys import Keys
from gentrace.runtime.store.settle import Settler
from gentrace.runtime.store.store import RunStore
from gentrace.runtime.store.sweep import Sweeper
from tests.support.waiting import PATIENCE_S, eventually
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
    monkeypatch.setattr(find, "READ_TIMEOUT_S", 5.0)
    monkeypatch.setattr(settle, "TOLD_S", 0.3)
    monkeypatch.setattr(store_module, "CLOCK_S", 0.3)
    monkeypatch.setattr(store_module, "REGULAR_S", 0.3)
    with redis.Redis(port=redis_server.port) as client:
        client.flushall()
    context.forget_all()
    made: list[RunStore] = []

    def new(url: str = redis_server.url, emit: Exporter | None = None, **options: Any) -> RunStore:
        name = f"process-{len(made)}"
        store = RunStore("t", RULES, url or None, instance=lambda: name, **options)
        if emit is not None:
            looked_after(store, emit)
        made.append(store)
        return store

    yield new
    for store in made:
        store.stop(2)
        if (thread := store.thread._thread) is not None:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
    context.forget_all()


def looked_after(store: RunStore, emit: Exporter) -> None:
    """As a process does that has its role."""
    Settler(store, emit)
    Undertaker(store, emit)
    Sweeper(store)


def settled(client: Any) -> None:
    """Wait until nothing is due; what was put back is looked at again a minute later."""
    soon_s, quiet = time.time() + 30, list[int]()

    def is_quiet() -> bool:
        quiet.append(int(client.zcount("gentrace:t:due", 0, soon_s)))
        time.sleep(0.02)  # what grew meanwhile is entered again
        return quiet[-3:] == [0, 0, 0]

    eventually(is_quiet)


def runs_of(client: Any, generation_id: str = "7") -> list[StoredRun]:
    """A generation's runs as the store has them."""
    return find.read(client, Keys("t"), generation_id, RULES).folded.runs


def run_of(client: Any, generation_id: str = "7") -> StoredRun:
    """... the current one."""
    return runs_of(client, generation_id)[-1]


def run(generation_id: str | None = "7", trace_id: int = 0xABC, flags: int = 1) -> Run:
    parent = SpanContext(trace_id, 0xDEF, is_remote=False, trace_flags=TraceFlags(flags))
    return Run(generation_id, parent=parent, owned=True)
