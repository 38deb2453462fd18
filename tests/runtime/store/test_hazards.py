"""What happens to a run between two processes and a Redis at the worst moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

import pytest
import redis

from gentrace.core import names
from gentrace.core.run.events import OpenSpan
from gentrace.core.run.times import Event, Kind, State
from gentrace.runtime.store.dead import Undertaker
from gentrace.runtime.store.settle import Settler
from gentrace.runtime.store.store import RunStore
from tests.runtime.store.conftest import Exporter, Make, run, run_of
from tests.runtime.store.test_settle import attributes, begun, ended, eventually
from tests.support.lasting import lasting
from tests.support.waiting import PATIENCE_S
from tools.servers import RedisServer

KEY = "gentrace:t:"
S = 10**9


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        yield found


def opened(name: str, instance: str, start_ns: int) -> OpenSpan:
    return OpenSpan("bb" * 8, name, "", start_ns, 0, instance, service="t-api")


def submitting(worker: RunStore, at_ns: int) -> None:
    for kind in (Kind.JOB_STARTED, Kind.SUBMITTING):
        worker.note(run(), events=(Event(kind, at_ns, attempt=int(kind is Kind.SUBMITTING)),))
    worker.flush(5)


def test_a_death_ends_no_job_that_lives_elsewhere(make: Make, client: Any) -> None:
    api, worker = make(), make()
    begun(api)
    api.flush(5)
    submitting(worker, time.time_ns())
    api.note(run(), opened=(opened(names.FINISH, "process-0", time.time_ns()),), urgent=True)
    api.flush(5)
    Undertaker(worker, Exporter()).bury_one(client, "process-0", time.time_ns())
    worker.flush(5)
    eventually(lambda: not run_of(client).open)
    record = run_of(client)
    assert record.times.state is State.PROVIDER_SUBMIT
    assert record.incomplete == []


def test_what_is_written_for_the_dead_names_them(make: Make, client: Any) -> None:
    exporter = Exporter()
    api, other = make(), make(emit=exporter)
    begun(api)
    api.note(run(), opened=(opened(names.FINISH, "process-0", time.time_ns()),), urgent=True)
    api.flush(5)
    Undertaker(other, exporter).bury_one(client, "process-0", time.time_ns())
    (span,) = exporter.named(names.FINISH)
    told = span.resource.attributes
    assert (told["service.name"], told["service.instance.id"]) == ("t-api", "process-0")


def test_one_that_cannot_be_taken_holds_up_no_other(
    make: Make, client: Any, swallowed: list[Any]
) -> None:
    client.set(KEY + "events:9", "no list")
    client.zadd(KEY + "due", {"9": 1})
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    ended(store)
    eventually(lambda: exporter.named(names.RUN))
    assert client.zscore(KEY + "due", "9") > time.time()
    assert {where for where, _ in swallowed} == {"a run's span"}


def test_a_run_after_an_end_that_its_process_did_not_know_of_has_its_own_trace(
    make: Make, client: Any
) -> None:
    """A bulk update, or a process that has just begun, takes up what ended elsewhere."""
    exporter = Exporter()
    store, other = make(emit=exporter), make(emit=exporter)
    begun(store)
    ended(store, "failed")
    (first,) = eventually(lambda: exporter.named(names.RUN))
    other.note(run(), status="pending", urgent=True)  # in the trace that it knows
    queued = Event(Kind.ENQUEUED, time.time_ns())
    left = opened(names.FINISH, "process-1", time.time_ns())
    other.note(run(), events=(queued,), anchor="cc" * 8, opened=(left,), urgent=True)
    other.flush(5)
    assert [span.trace for span in run_of(client).open.values()] == [f"{0xABC:032x}"]
    other.note(run(), events=(Event(Kind.JOB_STARTED, time.time_ns()),), urgent=True)
    other.note(run(), status="completed", urgent=True)
    (_, second) = eventually(lambda: len(found := exporter.named(names.RUN)) == 2 and found)
    (root,) = exporter.named(names.STATUS_CHANGE)
    assert first.context is not None
    assert second.context is not None
    assert root.context is not None
    assert second.context.trace_id == root.context.trace_id != first.context.trace_id
    assert root.parent is None
    assert second.parent is not None
    assert second.parent.span_id == root.context.span_id
    assert [link.context.span_id for link in root.links] == [first.context.span_id]
    waits = exporter.named(names.QUEUE_WAIT)
    assert {wait.parent.span_id for wait in waits if wait.parent} == {root.context.span_id}
    known = store.runs._read(client, "7")
    assert known is not None
    assert (known.number, known.trace_id) == (2, second.context.trace_id)


def test_a_link_that_is_none_is_left_out(make: Make) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    store.note(run(), links=(("no hex", "at all", "chain"),), urgent=True)
    ended(store)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert span.links == ()


def test_an_end_is_told_though_redis_was_emptied_and_somebody_said_more(
    make: Make, client: Any
) -> None:
    exporter = Exporter()
    store, other = make(emit=exporter), make()
    begun(store)
    ended(store, "failed")
    store.flush(5)
    client.flushall()
    other.note(run(), stage="queued", urgent=True)
    assert other.flush(60)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.OUTCOME] == "failed"
    assert names.INCOMPLETE not in attributes(span)  # who told it has told it again


def test_a_clock_that_is_ahead_takes_nothing_before_its_time(
    make: Make, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = Exporter()
    one, ahead = make(), make()
    begun(one)
    ended(one, "failed")
    one.flush(5)
    settler = Settler(ahead, exporter)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    ahead._look_after_clock(client)
    settler.settle(client)
    assert exporter.named(names.RUN) == []


def test_what_redis_did_not_take_is_put_when_it_answers(
    make: Make, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make()
    begun(store)
    store.flush(5)
    store.thread.connection._paused_until = time.monotonic() + 0.3
    store.stream.sender.close()
    store.learn("asset", "12", "7")
    assert not client.exists(KEY + "alias:asset:12")
    eventually(lambda: client.get(KEY + "alias:asset:12") == "7", 8)
    assert not store.misses("7")


def test_what_does_not_reach_redis_before_the_end_is_said(
    make: Make, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make()
    begun(store)
    store.flush(5)
    store.thread.connection._paused_until = time.monotonic() + 60
    store.stream.sender.close()
    store.note(run(), status="completed", urgent=True)
    store.stop(0.1)
    assert store.lost == 1
    assert "1 steps of 1 generations did not reach the run store" in capsys.readouterr().err


async def test_all_reads_together_wait_no_longer_than_one(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gentrace.runtime.store.find.READ_TIMEOUT_S", 0.5)
    store, may_go = make(), threading.Event()
    store.thread.ask(lambda _client: may_go.wait(PATIENCE_S))
    with lasting() as took:
        until = store.runs.patience()
        assert await store.runs.find("7", until) is None
        assert await store.runs.look_again("7", until) is None
        assert await store.runs.find_by_trace(5, until) is None
    may_go.set()
    assert took[0] < 1


async def test_who_waits_comes_before_the_background(make: Make) -> None:
    begun(make())
    store = make()
    order: list[int] = []
    for number in range(200):
        store.thread.ask(lambda _client, n=number: (time.sleep(0.002), order.append(n)))
    await store.runs.find("7")
    assert len(order) < 100


def test_a_run_is_fetched_once_at_a_time(make: Make) -> None:
    store = make()
    store.thread.ask(lambda _client: time.sleep(0.2))
    for _ in range(50):
        store.runs.prefetch("7", fresh=True)
    assert len(store.thread._asked) <= 2
    assert store.flush(60)
    assert not store.runs._fetching
