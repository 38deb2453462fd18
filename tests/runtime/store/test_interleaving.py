"""Random stories of a run, told by two processes in any order to a real Redis."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, TraceFlags

from gentrace.core import names
from gentrace.core.run.times import Event, Kind, State
from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.store.settle import Settler
from gentrace.runtime.store.store import RunStore
from tests.runtime.store.conftest import RULES, Exporter, settled
from tools.servers import RedisServer

START_NS = 1_700_000_000 * 10**9
MOVES = [kind for kind in Kind if kind not in (Kind.RECEIVED, Kind.ENDED, Kind.PUT_BACK)]


@dataclass(frozen=True)
class Step:
    """What one of the two processes says next."""

    teller: int
    after_ms: int
    event: Kind | None = None
    status: str = ""
    wait: State | None = None
    again: bool = False


steps = st.builds(
    Step,
    teller=st.integers(0, 1),
    after_ms=st.integers(-40, 400),
    event=st.none() | st.sampled_from(MOVES),
    status=st.sampled_from(["", "", "", "processing", "pending", "failed", "cancelled", "paused"]),
    wait=st.none() | st.sampled_from([State.ACCOUNT_WAIT, State.RETRY_WAIT, State.HOLD]),
    again=st.booleans(),
)


@dataclass
class Two:
    """Two processes on one Redis, and what they exported."""

    stores: list[RunStore]
    exporter: Exporter
    client: Any
    told: int = 0


@pytest.fixture(scope="module")
def two(redis_server: RedisServer) -> Generator[Two]:
    """Two stores that live through all examples."""
    exporter = Exporter()
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        client.flushall()
        stores = [
            RunStore("t", RULES, redis_server.url, instance=lambda name=name: name)  # type: ignore[misc]
            for name in ("api", "worker")
        ]
        for store in stores:
            Settler(store, exporter)
        yield Two(stores, exporter, client)
        for store in stores:
            store.stop(2)
    context.forget_all()


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=st.lists(steps, max_size=60), outcome=st.sampled_from(["completed", "failed"]))
def test_times_add_up_and_nothing_is_lost(two: Two, story: list[Step], outcome: str) -> None:
    two.told += 1
    generation_id, trace_id = f"g{two.told}", 0x1000 + two.told
    two.exporter.spans.clear()
    context.forget_all()
    parent = SpanContext(trace_id, 1, False, TraceFlags(1))

    def known() -> Run:
        return Run(generation_id, parent=parent)

    at_ns = START_NS
    two.stores[0].note(known(), at_ns=at_ns, events=(Event(Kind.RECEIVED, at_ns),), urgent=True)
    two.stores[0].flush(5)
    tries = after_an_end = 0
    for step in story:
        after_an_end += bool(after_an_end) or step.status in RULES.outcomes
        at_ns += step.after_ms * 1_000_000
        store = two.stores[step.teller]
        events = () if step.event is None else (Event(step.event, at_ns, 0, step.wait),)
        told = store.step(at_ns=at_ns, events=events, status=step.status, counts={names.TRIES: 1})
        store.note(known(), told, urgent=True)
        if step.again:  # as after a write whose answer was lost
            store.stream.tell_again()
        tries += 1
    at_ns += 10 * 10**9
    for store in two.stores:
        store.flush(5)
    two.stores[1].note(known(), at_ns=at_ns, status=outcome, urgent=True)
    for store in two.stores:
        assert store.flush(60)
    settled(two.client)
    runs = {span.context.span_id: span for span in two.exporter.named(names.RUN) if span.context}
    found = sorted(
        runs.values(), key=lambda span: int(str((span.attributes or {})[names.GENERATION_RUN]))
    )
    assert [(s.attributes or {})[names.GENERATION_RUN] for s in found] == list(
        range(1, len(found) + 1)
    )
    counted = 0
    for span in found:
        attributes = dict(span.attributes or {})
        spent = [float(str(attributes[name])) for name in names.TIMES.values()]
        assert all(each >= 0 for each in spent)
        assert span.start_time is not None
        assert span.end_time is not None
        assert sum(spent) == pytest.approx((span.end_time - span.start_time) / 1e9, abs=1e-6)
        counted += int(str(attributes[names.TRIES]))
    late = sum(int(str((s.attributes or {}).get(names.LATE_EVENTS, 0))) for s in found)
    # What comes after an end that is being written belongs to no run
    assert counted <= tries <= counted + late + after_an_end
    assert (found[-1].attributes or {})[names.OUTCOME] == outcome
    assert sum(store.lost for store in two.stores) == 0
