"""The polls of a run, counted by whichever process makes them."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import redis

from gentrace.core import names
from gentrace.core.run.times import Event, Kind
from gentrace.runtime.store.polls import polls_of
from gentrace.runtime.store.store import RunStore
from tests.runtime.store.conftest import Exporter, Make, run
from tests.runtime.store.test_settle import attributes, begun, ended, eventually
from tools.servers import RedisServer


def submitted(store: RunStore, attempt: int) -> None:
    """Have the provider take it."""
    for kind in (Kind.SUBMITTING, Kind.SUBMITTED):
        store.note(run(), events=(Event(kind, time.time_ns(), attempt=attempt),), urgent=True)


def counted(redis_server: RedisServer) -> int:
    """The polls of the run, as Redis has them."""
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        fields: Any = client.hgetall("gentrace:t:run:7")
    return sum(count for _, count in polls_of(fields, f"1-{0xABC:032x}"))


def rendered(store: RunStore) -> None:
    """... and be done with it."""
    store.note(run(), events=(Event(Kind.PROVIDER_DONE, time.time_ns()),), urgent=True)
    store.flush(5)


def poll(store: RunStore, times: int) -> None:
    for _ in range(times):
        store.polls.add(run())
    store.flush(5)


def test_two_pollers_count_one_run(make: Make) -> None:
    """And each wait for the provider has the polls of its own submission."""
    exporter = Exporter()
    one, other = make(emit=exporter), make()
    begun(one)
    submitted(one, 1)
    poll(one, 2)
    poll(other, 3)
    rendered(one)
    submitted(one, 2)
    poll(other, 4)
    rendered(one)
    ended(one)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.POLLS] == 9
    waits = [attributes(wait)[names.POLLS] for wait in exporter.named(names.PROVIDER_WAIT)]
    assert waits == [5, 4]


def test_polls_of_another_run_are_its_own(make: Make) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    poll(store, 2)
    ended(store, "failed")
    eventually(lambda: exporter.named(names.RUN))
    again = run(trace_id=0xDEF)
    again.number = 2
    store.note(again, status="pending", urgent=True)
    for _ in range(3):
        store.polls.add(again)
    store.note(again, status="completed", urgent=True)
    runs = eventually(lambda: len(exporter.named(names.RUN)) == 2 and exporter.named(names.RUN))
    assert [attributes(span)[names.POLLS] for span in runs] == [2, 3]


def test_many_threads_lose_none(make: Make, redis_server: RedisServer) -> None:
    store = make()
    threads = [threading.Thread(target=poll, args=(store, 50)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.flush(60)
    assert counted(redis_server) == 200


def test_what_redis_did_not_take_is_told_again(
    make: Make, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make()
    begun(store)
    store.flush(5)
    client: Any = store.thread.connection.client
    down = True

    def sometimes() -> Any:
        if down:
            raise ConnectionError
        return client()

    monkeypatch.setattr(store.thread.connection, "client", sometimes)
    store.stream.sender.close()
    store.polls.add(run())
    eventually(lambda: store.thread.connection.paused)
    store.polls.add(run())
    down = False
    eventually(lambda: counted(redis_server) == 2, 10)


def test_no_room_for_polls_is_said(make: Make) -> None:
    store = make()
    begun(store)
    store.flush(5)
    store.thread.connection.full, store.thread.connection._memory_at = True, time.monotonic() + 60
    store.note(run(), stage="queued")  # the thread learns that there is none
    store.flush(5)
    store.polls.add(run())
    assert store.misses("7")
    assert store.lost == 2
