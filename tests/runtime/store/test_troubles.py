"""Random stories in which clocks differ, processes die and Redis forgets, told to a real one."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from gentrace.core import names
from gentrace.core.run.events import OpenSpan
from gentrace.core.run.run import Run as StoredRun
from gentrace.core.run.times import Event, Kind
from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.store import dead, settle
from gentrace.runtime.store import store as store_module
from gentrace.runtime.store.dead import Undertaker
from gentrace.runtime.store.settle import Settler
from gentrace.runtime.store.store import RunStore
from tests.runtime.store.conftest import RULES, Exporter, runs_of, settled
from tests.support.waiting import eventually
from tools.servers import RedisServer

START_NS = 1_700_000_000 * 10**9
BEHIND_NS = 300_000_000
API, WORKER = 0, 1


@dataclass(frozen=True)
class Tell:
    """One of the two tells of an event or a status."""

    teller: int
    after_ms: int
    kind: Kind | None = None
    attempt: int = 0
    status: str = ""
    coming: bool = False
    opens: bool = False


@dataclass(frozen=True)
class Dies:
    """The worker is gone without a word, found out at once; another takes its place."""


@dataclass(frozen=True)
class Forgets:
    """FLUSHALL."""


@dataclass(frozen=True)
class Settles:
    """Enough time passes for what has ended to be written."""


_OF_AN_ATTEMPT = (Kind.SUBMITTING, Kind.SUBMITTED, Kind.NOT_SUBMITTED, Kind.PROVIDER_DONE)
_OTHER = (Kind.ENQUEUED, Kind.JOB_STARTED, Kind.JOB_OVER, Kind.NO_CHANGE)
tellers, pauses = st.integers(0, 1), st.integers(0, 400)
submissions = st.builds(
    Tell, tellers, pauses, st.sampled_from(_OF_AN_ATTEMPT), st.integers(1, 3), opens=st.booleans()
)
events = st.builds(Tell, tellers, pauses, st.sampled_from(_OTHER), opens=st.booleans())
statuses = st.builds(
    Tell,
    tellers,
    pauses,
    status=st.sampled_from(["pending", "processing", "failed", "cancelled", "completed"]),
    coming=st.booleans(),
)
stories = st.lists(
    st.one_of(submissions, events, statuses, st.builds(Dies), st.builds(Settles)), max_size=25
)
forgetful = st.lists(
    st.one_of(submissions, events, statuses, st.builds(Forgets), st.builds(Settles)), max_size=25
)


@dataclass
class World:
    """Two processes on one Redis, what they exported, and the story so far."""

    stores: list[RunStore]
    undertaker: Undertaker
    exporter: Exporter
    client: Any
    instances: list[str]
    told: int = 0
    generation_id: str = ""
    at_ns: int = 0
    tries: int = 0
    opened: dict[str, str] = field(default_factory=dict[str, str])

    def begin(self) -> None:
        self.told += 1
        self.generation_id, self.at_ns = f"t{self.told}", START_NS
        self.tries = 0
        self.opened.clear()
        context.forget_all()
        self.client.flushall()
        for store in self.stores:
            store.stream.over(store.stream.kept())
            store.stream._mine.clear()
            store.thread.ask(store.see_epoch)
            assert store.flush(60)
        self.exporter.spans.clear()
        self.note(API, events=(Event(Kind.RECEIVED, self.at_ns),))

    def note(self, teller: int, at_ns: int = 0, **what: Any) -> None:
        parent = SpanContext(0x2000 + self.told, 1, False, TraceFlags(1))
        store = self.stores[teller]
        step = store.step(at_ns=at_ns or self.at_ns, **what)
        store.note(Run(self.generation_id, parent=parent), step, urgent=True)
        assert store.flush(60)

    def tell(self, step: Tell) -> None:
        self.at_ns += step.after_ms * 1_000_000
        at_ns = self.at_ns - BEHIND_NS * step.teller
        what: dict[str, Any] = {"counts": {names.TRIES: 1}, "status": step.status}
        if step.kind is not None:
            what["events"] = (Event(step.kind, at_ns, step.attempt),)
        if step.opens:
            span_id = f"{len(self.opened) + 2:016x}"
            instance = self.instances[step.teller]
            self.opened[span_id] = instance
            what["opened"] = (OpenSpan(span_id, "job", "", at_ns, 4, instance),)
        if step.coming and step.status in RULES.outcomes:
            self.note(step.teller, at_ns, coming=step.status)
        self.note(step.teller, at_ns, **what)
        self.tries += 1

    def worker_dies(self) -> None:
        gone = self.instances[WORKER]
        self.instances[WORKER] = f"{gone}+"
        self.stores[WORKER].stream._mine.clear()
        self.client.zadd("gentrace:t:processes", {gone: time.time() - 100})
        self.stores[API].thread.ask(self.undertaker.bury)
        eventually(lambda: self.client.zscore("gentrace:t:processes", gone) is None)

    def settle(self) -> None:
        settled(self.client)

    def record(self) -> StoredRun | None:
        found = runs_of(self.client, self.generation_id)
        return found[-1] if found else None

    def beyond(self) -> int:
        """What was done after the end of its run, by whichever clock it was told."""
        runs = runs_of(self.client, self.generation_id)
        return sum(run.beyond.get(names.TRIES, 0) for run in runs)

    def runs(self) -> list[ReadableSpan]:
        found = self.exporter.named(names.RUN)
        return [s for s in found if (s.attributes or {})[names.GENERATION_ID] == self.generation_id]


@pytest.fixture(scope="module")
def world(redis_server: RedisServer) -> Generator[World]:
    exporter, instances = Exporter(), ["api", "worker"]
    patch = pytest.MonkeyPatch()
    patch.setattr(dead, "AWAY_S", 0.0)
    patch.setattr(settle, "TOLD_S", 1.0)
    patch.setattr(store_module, "CLOCK_S", 0.2)
    patch.setattr(store_module, "REGULAR_S", 0.2)
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        stores = [
            RunStore("t", RULES, redis_server.url, instance=lambda n=n: instances[n])  # type: ignore[misc]
            for n in (API, WORKER)
        ]
        for store in stores:
            Settler(store, exporter)
        yield World(stores, Undertaker(stores[API], exporter), exporter, client, instances)
        for store in stores:
            store.stop(2)
    patch.undo()
    context.forget_all()


def adds_up(span: ReadableSpan) -> dict[str, Any]:
    """No time is negative, and they make up the whole; gives the span's attributes."""
    attributes = dict(span.attributes or {})
    spent = [float(str(attributes[name])) for name in names.TIMES.values()]
    assert all(each >= 0 for each in spent)
    assert span.start_time is not None
    assert span.end_time is not None
    assert sum(spent) == pytest.approx((span.end_time - span.start_time) / 1e9, abs=1e-6)
    return attributes


quick = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(story=stories, outcome=st.sampled_from(["completed", "failed"]))
def test_whoever_dies_every_run_is_told(world: World, story: list[Any], outcome: str) -> None:
    world.begin()
    deaths = list[str]()
    for step in story:
        if isinstance(step, Dies):
            deaths.append(world.instances[WORKER])
            world.worker_dies()
        elif isinstance(step, Settles):
            world.settle()
        else:
            world.tell(step)
    world.at_ns += 10 * 10**9
    world.note(API, status=outcome)
    world.settle()
    runs = {span.context.span_id: span for span in world.runs() if span.context}
    told = sorted((adds_up(span) for span in runs.values()), key=lambda a: a[names.GENERATION_RUN])
    assert [each[names.GENERATION_RUN] for each in told] == list(range(1, len(told) + 1))
    assert told[-1][names.OUTCOME] == outcome
    assert all(names.NO_STORE not in each.get(names.INCOMPLETE, ()) for each in told)
    counted = sum(each[names.TRIES] for each in told)
    late = sum(each.get(names.LATE_EVENTS, 0) for each in told)
    assert counted <= world.tries <= counted + late + world.beyond()
    # Who is dead has nothing open any more; what it had open was written, once
    record = world.record()
    assert record is not None
    assert not record.holders() & set(deaths)
    stand_ins = [span for span in world.exporter.named("job") if span.context]
    ids = [f"{span.context.span_id:016x}" for span in stand_ins if span.context]
    assert len(ids) == len(set(ids))
    assert all(world.opened[span_id] in deaths for span_id in ids)
    assert sum(store.lost for store in world.stores) == 0


@quick
@given(story=forgetful, outcome=st.sampled_from(["completed", "failed"]))
def test_what_redis_forgot_is_said(world: World, story: list[Any], outcome: str) -> None:
    world.begin()
    forgot = False
    for step in story:
        if isinstance(step, Forgets):
            world.client.flushall()
            forgot = True
        elif isinstance(step, Settles):
            world.settle()
        else:
            world.tell(step)
    world.at_ns += 10 * 10**9
    world.note(API, status=outcome)
    world.settle()
    told = [adds_up(span) for span in world.runs()]
    assert told
    counted = sum(each[names.TRIES] for each in told)
    late = sum(each.get(names.LATE_EVENTS, 0) for each in told)
    said = [each for each in told if names.NO_STORE in each.get(names.INCOMPLETE, ())]
    if counted + late + world.beyond() < world.tries:
        assert forgot
        assert said
    assert forgot or not said
    assert sum(store.lost for store in world.stores) == 0


def test_an_end_that_the_dead_had_begun_is_told(world: World) -> None:
    """Killed between the commit and our telling of it."""
    world.begin()
    world.tell(Tell(WORKER, 10, Kind.JOB_STARTED, opens=True))
    world.note(WORKER, world.at_ns, coming="failed")
    dead = world.instances[WORKER]
    world.worker_dies()
    eventually(world.runs)
    (span,) = world.runs()
    attributes = adds_up(span)
    assert attributes[names.OUTCOME] == "failed"
    assert attributes[names.INCOMPLETE] == ["worker_died"]
    assert dead in attributes[names.PROCESSES]
    assert span.end_time == world.at_ns


def test_an_end_that_did_not_come_is_not_told(world: World) -> None:
    """It was rolled back, and the host went on with the generation elsewhere."""
    world.begin()
    world.tell(Tell(WORKER, 10, Kind.JOB_STARTED))
    world.note(WORKER, world.at_ns, coming="failed")
    world.tell(Tell(API, 900, Kind.JOB_STARTED))
    world.worker_dies()
    record = world.record()
    assert record is not None
    assert not record.ended_ns
    world.note(API, status="completed")
    eventually(world.runs)
    (span,) = world.runs()
    assert adds_up(span)[names.OUTCOME] == "completed"
