"""What is in Redis is not what we wrote: runs go on, and say that something is missing."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
import redis

from gentrace.core import names
from gentrace.core.run.times import Event, Kind
from gentrace.runtime.store import store as module
from gentrace.runtime.store.store import RunStore
from tests.runtime.store.conftest import RULES, Exporter, Make, looked_after, run, run_of
from tests.support.waiting import eventually
from tools import servers
from tools.servers import RedisServer

KEY = "gentrace:t:"


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        yield found


def begun(store: RunStore) -> None:
    events = (Event(Kind.RECEIVED, time.time_ns()),)
    store.note(run(), events=events, root="00000000000000aa", urgent=True)
    store.flush(5)


def incomplete(span: Any) -> list[str]:
    return list(dict(span.attributes or {}).get(names.INCOMPLETE, ()))


GARBAGE = {
    "empty": "",
    "no JSON": "{",
    "bytes": b"\xff\xfe\x00",
    "a list": "[1]",
    "nothing in it": "{}",
    "steps that are none": '{"v":2,"i":"a","e":5}',
    "a step without a number": '{"v":2,"i":"a","e":[{"at_ns":5}]}',
    "facts that are none": '{"v":2,"i":"a","e":[{"n":1,"at_ns":5,"facts":5}]}',
    "spans that are none": '{"v":2,"i":"a","e":[{"n":1,"at_ns":5,"opened":[{"a":1}]}]}',
    "an event that is none": '{"v":2,"i":"a","e":[{"n":1,"at_ns":5,"events":["started"]}]}',
    "another version's": '{"v":9,"k":"dreamt","mood":"calm"}',
    "what was put together of nothing": '{"v":2,"k":"compact","at_ns":5,"upto":{},"runs":[{}]}',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_in_a_list(garbage: Any, make: Make, client: Any) -> None:
    """What is beside it counts, and nothing is missing."""
    exporter = Exporter()
    client.rpush(KEY + "events:7", garbage)
    store = make(emit=exporter)
    begun(store)
    client.rpush(KEY + "events:7", garbage)
    assert await make().runs.find("7") is not None
    store.note(run(), status="completed", urgent=True)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert incomplete(span) == []
    assert store.lost == 0


def test_a_stage_that_only_another_version_knows(make: Make, client: Any) -> None:
    store = make()
    begun(store)
    store.note(run(), stage="dreaming", facts={names.MODEL: "v5"}, urgent=True)
    store.flush(5)
    assert run_of(client).facts == {names.MODEL: "v5"}


@pytest.mark.parametrize("key", ["events:7", "run:7", "due", f"trace:{0xABC:032x}"])
async def test_a_key_of_another_type(
    key: str, make: Make, client: Any, swallowed: list[tuple[str, BaseException]]
) -> None:
    """Reads find nothing; what cannot be written is known by its generation."""
    (client.lpush if key != "events:7" else client.sadd)(KEY + key, "another type")
    store = make(emit=Exporter())
    begun(store)
    store.note(run(), status="completed", urgent=True)
    store.flush(5)
    if key.startswith("trace"):
        assert not store.misses("7")  # SET takes the place of anything
        return
    assert store.misses("7") or key == "run:7"  # there the next step has said so
    assert store.lost > 0
    assert {type(exc) for _, exc in swallowed} == {redis.ResponseError}
    assert not store.thread.connection.paused
    client.delete(KEY + key)
    store.note(run(), stage="queued", urgent=True)
    store.flush(5)
    assert not store.misses("7")
    if key == "run:7":
        return
    assert names.NO_STORE in run_of(client).incomplete


def test_an_end_that_redis_forgot_before_it_settled_is_told(make: Make, client: Any) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    store.rules = store.stream.rules = replace(RULES, after_s={"failed": 0.5})
    store.note(run(), status="failed", urgent=True)
    store.flush(5)
    client.flushall()
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert incomplete(span) == []  # who told it tells it again
    assert span.parent is not None


def test_another_redis_from_now_on(make: Make, client: Any) -> None:
    """ARQ's pool moved: the run goes on there, and what was told is told there again."""
    exporter = Exporter()
    with servers.redis() as other:
        store = make("")
        looked_after(store, exporter)
        store.use_pool(Pool(client.connection_pool.connection_kwargs["port"]))
        begun(store)
        assert client.exists(KEY + "events:7")
        store.use_pool(Pool(other.port))
        store.note(run(), status="completed", urgent=True)
        (span,) = eventually(lambda: exporter.named(names.RUN))
        assert incomplete(span) == []
        with redis.Redis(port=other.port) as there:
            assert there.exists(KEY + "events:7")
        store.stop(2)


class Pool:
    """As much of a connection pool as the store looks at."""

    def __init__(self, port: int) -> None:
        self.connection_kwargs = {"host": servers.HOST, "port": port}
        self.connection_class = type("Connection", (), {})


async def test_a_redis_that_stopped_answering_is_known_as_such_until_it_answers(
    make: Make, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gentrace.runtime.store.connection.PAUSE_S", 0.2)
    monkeypatch.setattr("gentrace.runtime.store.connection._SOCKET_TIMEOUT_S", 0.2)
    monkeypatch.setattr(module, "REGULAR_S", 0.2)
    store = make(emit=Exporter())
    begun(store)
    assert store.answers
    client.execute_command("CLIENT", "PAUSE", "1500", "ALL")
    store.note(run(), stage="queued", urgent=True)
    eventually(lambda: not store.answers)
    deadline = time.monotonic() + 0.6
    while time.monotonic() < deadline:  # also while it is being tried again
        assert not store.answers
    eventually(lambda: store.answers)
    assert store.lost == 0
