"""The run store as the commands read it: what stands there, and what cannot be read."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import Any

import pytest
import redis

from gentrace.core.errors import SourceError
from gentrace.core.profile import Statuses
from gentrace.core.run import events
from gentrace.core.run.events import OpenSpan, Step
from gentrace.core.run.rules import Settling
from gentrace.core.run.times import Event, Kind
from gentrace.sources.live_store import LiveStore
from tools.servers import HOST, RedisServer, free_ports

RULES = Settling.of(Statuses())
KEY = "gentrace:t:"


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        found.flushall()
        yield found


@pytest.fixture
def store(redis_server: RedisServer) -> Generator[LiveStore]:
    made = LiveStore(redis_server.url, "t", RULES)
    yield made
    made.close()


def told(n: int, at_s: float, **what: Any) -> Step:
    return Step("w", n, round(at_s * 1e9), "ab" * 16, "cd" * 8, number=2, **what)


def put(client: Any, *steps: Step) -> None:
    client.rpush(KEY + "events:7", events.batch(steps[0], [events.body(s) for s in steps], ""))


def test_a_run(store: LiveStore, client: Any) -> None:
    spans = (OpenSpan("a", "job", "", 1, 0, "w"), OpenSpan("b", "call", "", 1, 0, "x", end_ns=5))
    queued = Event(Kind.ENQUEUED, 5_000_000_000)
    put(client, told(1, 3, status="processing", opened=spans), told(2, 5, events=(queued,)))
    run = store.run("7")
    assert run is not None
    assert (run.trace_id, run.number, run.status, run.state) == (
        "ab" * 16,
        2,
        "processing",
        "queue",
    )
    assert (run.since_s, run.due_s, run.last_by) == (5.0, 0.0, "w")
    assert (run.processes, run.incomplete, run.at_work) == (("w",), ("store",), ("w",))
    assert store.run("8") is None


def test_a_run_that_has_ended(store: LiveStore, client: Any) -> None:
    put(client, told(1, 3, status="completed"))
    run = store.run("7")
    assert run is not None
    assert (run.status, run.state) == ("completed", "")


@pytest.mark.parametrize("damage", ["", "{", b"\xff{", '{"v":2,"i":5,"e":[5]}'])
def test_damage_in_a_list(store: LiveStore, client: Any, damage: Any) -> None:
    client.rpush(KEY + "events:7", damage)
    assert store.run("7") is None
    put(client, told(1, 3, status="processing"))
    client.rpush(KEY + "events:7", damage)
    run = store.run("7")
    assert run is not None
    assert (run.status, run.state) == ("processing", "")


def test_processes(store: LiveStore, client: Any) -> None:
    now = time.time()
    client.zadd(KEY + "processes", {"alive": now, "gone": now - 55})
    client.zadd(KEY + "deaths", {"dead": now - 90})
    told = {"role": "worker", "alive": True, "jobs": {"j": {"generation_id": "7"}}, "crons": 5}
    client.set(KEY + "process:alive", json.dumps(told))
    client.set(KEY + "process:left", json.dumps({"role": "api", "alive": False}))
    found = {each.instance: each for each in store.processes()}
    assert set(found) == {"alive", "gone", "dead", "left"}
    assert store.processes()[0].instance == "alive"
    assert found["alive"].part("jobs") == {"j": {"generation_id": "7"}}
    assert found["alive"].part("crons") == found["gone"].part("jobs") == {}
    assert [each.died for each in found.values()].count(True) == 1
    assert found["dead"].died
    assert found["left"].ended
    assert found["gone"].role == ""


def test_a_redis_that_cannot_be_read(store: LiveStore, client: Any) -> None:
    client.set(KEY + "run:7", "no hash")
    with pytest.raises(SourceError, match="ResponseError"):
        store.run("7")
    (closed,) = free_ports(1)
    away = LiveStore(f"redis://{HOST}:{closed}/0", "t", RULES)
    with pytest.raises(SourceError, match="ConnectionError"):
        away.processes()
    with pytest.raises(SourceError, match="address"):
        LiveStore("nonsense", "t", RULES)


def test_nothing_is_written(store: LiveStore, client: Any) -> None:
    assert store.run("7") is None
    assert store.processes() == []
    assert client.keys("*") == []
