"""The run store as the commands read it: what stands there, and what cannot be read."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import Any

import pytest
import redis

from gentrace.core.errors import SourceError
from gentrace.sources.live_store import LiveStore
from tools.servers import HOST, RedisServer, free_ports

KEY = "gentrace:t:"


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        found.flushall()
        yield found


@pytest.fixture
def store(redis_server: RedisServer) -> Generator[LiveStore]:
    made = LiveStore(redis_server.url, "t")
    yield made
    made.close()


def test_a_run(store: LiveStore, client: Any) -> None:
    spans = {"a": {"instance": "w", "end_ns": 0}, "b": {"instance": "x", "end_ns": 5}}
    record = {"processes": ["a", "w"], "incomplete": ["store"], "open": spans}
    fields = {"trace": "ab" * 16, "number": 2, "status": "processing", "state": "queue"}
    fields |= {"since": 5_000_000_000, "due": 0, "record": json.dumps(record)}
    client.hset(KEY + "run:7", mapping=fields)
    run = store.run("7")
    assert run is not None
    assert (run.trace_id, run.number, run.status, run.state) == (
        "ab" * 16,
        2,
        "processing",
        "queue",
    )
    assert (run.since_s, run.due_s) == (5.0, 0.0)
    assert (run.processes, run.incomplete, run.at_work) == (["a", "w"], ["store"], ["w"])
    assert store.run("8") is None


def test_a_damaged_run(store: LiveStore, client: Any) -> None:
    fields = {"trace": "ab" * 16, "number": "x", "since": "y", "record": b"\xff{"}
    client.hset(KEY + "run:7", mapping=fields)
    run = store.run("7")
    assert run is not None
    assert (run.number, run.state, run.since_s) == (1, "", 0.0)
    assert (run.processes, run.incomplete, run.at_work) == ([], [], [])


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
    away = LiveStore(f"redis://{HOST}:{closed}/0", "t")
    with pytest.raises(SourceError, match="ConnectionError"):
        away.processes()
    with pytest.raises(SourceError, match="address"):
        LiveStore("nonsense", "t")


def test_nothing_is_written(store: LiveStore, client: Any) -> None:
    assert store.run("7") is None
    assert store.processes() == []
    assert client.keys("*") == []
