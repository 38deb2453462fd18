"""What is in Redis is not what we wrote: runs go on, and say that something is missing."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import asdict, replace
from typing import Any

import pytest
import redis

from gentrace.core import names
from gentrace.core.run.times import Event, Kind, State, Times
from gentrace.runtime.runs import settle
from gentrace.runtime.runs import store as module
from gentrace.runtime.runs.record import OpenSpan, Record
from gentrace.runtime.runs.store import RunStore
from tests.runtime.runs.conftest import RULES, Exporter, Make, run
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


OPEN = OpenSpan("ab", "process_generation", "cd", 5, 4, "one")


def sound() -> dict[str, Any]:
    return json.loads(Record("7", 1, "ab" * 16, "cd" * 8).dump())


GARBAGE = {
    "empty": "",
    "no JSON": "{",
    "bytes": b"\xff\xfe\x00",
    "a list": "[1]",
    "nothing in it": "{}",
    "facts that are none": json.dumps({**sound(), "facts": 5}),
    "a stage beyond all": json.dumps({**sound(), "stage": 99}),
    "spans that are none": json.dumps({**sound(), "open": {"a": 1}}),
    "a ledger of another kind": json.dumps({**sound(), "ledger": [[], []]}),
    "an event that is none": json.dumps(
        {**sound(), "ledger": {**sound()["ledger"], "events": ["started"]}}
    ),
    "no ledger": json.dumps({key: value for key, value in sound().items() if key != "ledger"}),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_for_a_record(garbage: Any, make: Make, client: Any) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    client.hset(KEY + "run:7", "record", garbage)
    assert await make().runs.find("7") is not None  # what joins the processes is beside it
    store.note(run(), status="completed", urgent=True)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert incomplete(span) == ["store"]
    assert store.lost == 0


def test_a_record_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """And what it says beside is still there when this version has written it."""
    later = sound()
    later["ledger"]["counted"] |= {"spent_ns": {"api": 5, "dreaming": 7}, "invented": 3}
    later["ledger"]["events"] = [
        {"kind": "dreamt", "at_ns": 20},
        {"kind": "enqueued", "at_ns": 12, "mood": "calm"},
    ]
    later["open"] = {"ab": {**asdict(OPEN), "invented": 2}}
    record = Record.load(json.dumps({**later, "invented": {"a": 1}}))
    assert record is not None
    assert record.trace == "ab" * 16
    assert record.ledger.counted.spent_ns == {State.API: 5, State.UNEXPLAINED: 7}
    assert record.ledger.events == [Event(Kind.ENQUEUED, 12)]
    assert record.ledger.counted.late == 1
    assert record.open == {"ab": OPEN}
    assert json.loads(record.dump())["invented"] == {"a": 1}


def test_a_record_of_an_earlier_version_is_read() -> None:
    """Which knew nothing of what has come since."""
    first = ("generation_id", "number", "trace", "parent", "ledger")
    earlier = {name: value for name, value in sound().items() if name in first}
    earlier["ledger"]["counted"] = {"spent_ns": {"api": 5}, "state": "queue", "since_ns": 9}
    record = Record.load(json.dumps(earlier))
    assert record is not None
    assert record.ledger.counted == Times({State.API: 5}, State.QUEUE, since_ns=9, by_status=True)


@pytest.mark.parametrize("key", ["run:7", "settling", f"trace:{0xABC:032x}"])
async def test_a_key_of_another_type(
    key: str, make: Make, client: Any, swallowed: list[tuple[str, BaseException]]
) -> None:
    """Reads find nothing; what cannot be written is known by its generation."""
    client.rpush(KEY + key, "a list")
    store = make(emit=Exporter())
    begun(store)
    store.note(run(), status="completed", urgent=True)
    store.flush(5)
    if key.startswith("trace"):
        assert not store.misses("7")  # SET takes the place of anything
        return
    assert store.misses("7")
    assert store.lost > 0
    assert {type(exc) for _, exc in swallowed} == {redis.ResponseError}
    assert not store.thread.connection.paused
    client.delete(KEY + key)
    store.note(run(), stage="queued", urgent=True)
    store.flush(5)
    assert not store.misses("7")
    record = store.writer.read(client, "7")
    assert record is not None
    assert names.NO_STORE in record.incomplete


async def test_a_hash_with_a_number_that_is_none(make: Make, client: Any) -> None:
    begun(make())
    client.hset(KEY + "run:7", "number", "many")
    assert await make().runs.find("7") is None


def test_an_end_that_redis_forgot_before_it_settled_is_told(make: Make, client: Any) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    store.writer.rules = replace(RULES, after_s={"failed": 0.5})
    store.note(run(), status="failed", urgent=True)
    store.flush(5)
    client.flushall()
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert incomplete(span) == ["store"]
    assert span.parent is not None


def test_another_redis_from_now_on(make: Make, client: Any) -> None:
    """ARQ's pool moved: the run goes on there, and says that its beginning is elsewhere."""
    exporter = Exporter()
    with servers.redis() as other:
        store = make("")
        settle.Settler(store, exporter)
        store.use_pool(Pool(client.connection_pool.connection_kwargs["port"]))
        begun(store)
        assert client.exists(KEY + "run:7")
        store.use_pool(Pool(other.port))
        store.note(run(), status="completed", urgent=True)
        (span,) = eventually(lambda: exporter.named(names.RUN))
        assert incomplete(span) == ["store"]
        with redis.Redis(port=other.port) as there:
            assert there.exists(KEY + "run:7")
        store.stop(2)


class Pool:
    """As much of a connection pool as the store looks at."""

    def __init__(self, port: int) -> None:
        self.connection_kwargs = {"host": servers.HOST, "port": port}
        self.connection_class = type("Connection", (), {})


async def test_a_redis_that_stopped_answering_is_known_as_such_until_it_answers(
    make: Make, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gentrace.runtime.runs.connection.PAUSE_S", 0.2)
    monkeypatch.setattr("gentrace.runtime.runs.connection._SOCKET_TIMEOUT_S", 0.2)
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
