"""What is looked after each minute: ends that nobody settles, long stories, what is out."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest
import redis

from gentrace.core import names
from gentrace.core.run.times import Event, Kind
from gentrace.runtime.store import sweep as module
from gentrace.runtime.store.sweep import Sweeper
from tests.runtime.store.conftest import Exporter, Make, run, run_of
from tests.runtime.store.test_settle import attributes, begun, ended, eventually
from tools.servers import RedisServer

KEY = "gentrace:t:"


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute is soon over."""
    monkeypatch.setattr(module, "EVERY_S", 0.2)


@pytest.mark.usefixtures("quick")
def test_an_end_that_is_not_known_to_be_due_is_found(make: Make, client: Any) -> None:
    """Its entry was lost, as with a failover between the two."""
    teller = make()
    begun(teller)
    ended(teller)
    assert teller.flush(60)
    client.delete(KEY + "due")
    exporter = Exporter()
    make(emit=exporter).thread.start()
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.OUTCOME] == "completed"
    eventually(lambda: client.zcard(KEY + "live") == 0)


def test_a_list_that_is_somebody_elses_holds_up_no_other(
    make: Make, client: Any, swallowed: list[Any]
) -> None:
    client.set(KEY + "events:9", "no list")
    client.zadd(KEY + "live", {"9": 1})
    store = make()
    Sweeper(store)._look_at(client, "9")
    assert client.zscore(KEY + "live", "9") is None
    assert len(swallowed) == 1


def test_a_long_story_takes_no_more_room_and_counts_all(make: Make, client: Any) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    at_ns = time.time_ns()
    for _ in range(150):
        for kind in (Kind.ENQUEUED, Kind.JOB_STARTED):
            at_ns += 1_000_000
            store.note(
                run(),
                at_ns=at_ns,
                events=(Event(kind, at_ns),),
                counts={names.TRIES: 1} if kind is Kind.JOB_STARTED else {},
                urgent=True,
            )
        if _ % 10 == 0:
            assert store.flush(60)
    assert store.flush(60)
    eventually(lambda: client.llen(KEY + "events:7") < 120)
    assert run_of(client).counts[names.TRIES] == 150
    store.note(run(), at_ns=at_ns + 1_000_000, status="completed", urgent=True)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.TRIES] == 150
    assert attributes(span)[names.TIMES["queue"]] == pytest.approx(0.15)


@pytest.mark.usefixtures("quick")
def test_what_is_out_is_not_kept_for_ever(
    make: Make, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gentrace.runtime.store.stream._KEPT_S", 0.2)
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    ended(store)
    eventually(lambda: exporter.named(names.RUN))
    eventually(lambda: not store.stream._mine)
    assert store.stream._bytes == 0
