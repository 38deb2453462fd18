"""The run store in a real Redis: what one process knows the others find, and it fails open."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import redis

from gentrace.runtime import context
from gentrace.runtime.context import Run
from gentrace.runtime.store import find as module
from gentrace.runtime.store import stream as stream_module
from gentrace.runtime.store.keys import LIVE_TTL_S
from gentrace.runtime.store.store import RunStore
from tests.runtime.store.conftest import Make, run, run_of
from tests.support.lasting import lasting
from tools.servers import HOST, RedisServer, free_ports


def saved(store: RunStore, *runs: Run) -> None:
    for each in runs:
        store.save(each)
    store.flush(2)


async def test_another_process_finds_what_one_saved(make: Make) -> None:
    saved(make(), run(flags=0))
    found = await make().runs.find("7")
    assert found is not None
    assert found.parent is not None
    assert (found.generation_id, found.owned, found.adopted) == ("7", True, False)
    assert (found.trace_id, found.parent.span_id) == (0xABC, 0xDEF)
    assert found.parent.is_remote
    assert not found.parent.trace_flags.sampled
    assert context.find("7") is found


async def test_a_run_is_found_by_its_trace(make: Make) -> None:
    saved(make(), run())
    found = await make().runs.find_by_trace(0xABC)
    assert found is not None
    assert found.generation_id == "7"
    assert await make().runs.find_by_trace(0x123) is None


async def test_the_last_write_stands(make: Make) -> None:
    store = make()
    saved(store, *(run(trace_id=5) for _ in range(1, 50)))
    found = await make().runs.find("7")
    assert found is not None
    assert found.trace_id == 5


async def test_what_is_known_is_not_asked_for(make: Make) -> None:
    known = run()
    context.remember(known)
    (closed,) = free_ports(1)
    assert await make(f"redis://{HOST}:{closed}/0").runs.find("7") is known


async def test_keys_expire(make: Make, redis_server: RedisServer) -> None:
    saved(make(), run())
    with redis.Redis(port=redis_server.port) as client:
        keys = list(client.scan_iter())
        assert len(keys) >= 2
        lives = {str(key): int(str(client.ttl(key))) for key in keys}
        sets = {b"gentrace:t:live", b"gentrace:t:epoch"}
        assert all(0 < int(str(client.ttl(key))) <= LIVE_TTL_S for key in set(keys) - sets), lives


@pytest.mark.parametrize(
    "text", ["", "no JSON", "{}", '{"v":2,"i":"a","trace":"no hex","e":[{"n":1,"at_ns":5}]}']
)
async def test_a_list_that_tells_of_no_run(
    make: Make, redis_server: RedisServer, text: str
) -> None:
    with redis.Redis(port=redis_server.port) as client:
        client.rpush("gentrace:t:events:7", text)
    assert await make().runs.find("7") is None


async def test_a_run_without_an_id_or_a_trace_is_not_saved(make: Make) -> None:
    store = make()
    store.save(run(None))
    store.save(Run("7"))
    assert store.thread._thread is None


async def test_no_redis_costs_no_time_and_is_said_once(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    (closed,) = free_ports(1)
    store = make(f"redis://{HOST}:{closed}/0")
    with lasting() as took:
        for number in range(20):
            assert await store.runs.find(str(number)) is None
            store.save(run(str(number)))
        store.flush(2)
    assert took[0] < 2
    assert capsys.readouterr().err.count("does not answer") == 1


async def test_a_late_answer_is_no_fault(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(make(), run("7"), run("8"))
    store = make()
    gate, busy = threading.Event(), threading.Event()
    store.thread.ask(lambda _client: busy.set() or gate.wait(60))
    assert busy.wait(60)
    with monkeypatch.context() as patch:
        patch.setattr(module, "READ_TIMEOUT_S", 0.02)
        assert await store.runs.find("7") is None
    gate.set()
    assert await store.runs.find("8") is not None
    assert store.lost == 0
    assert capsys.readouterr().err == ""


async def test_a_store_that_was_stopped_answers_at_once(make: Make) -> None:
    store = make()
    saved(store, run("8"))
    store.stop(2)
    with lasting() as took:
        assert await store.runs.find("7") is None
        store.save(run())
    assert took[0] < 1


async def test_arqs_pool_names_the_redis(make: Make, redis_server: RedisServer) -> None:
    from redis.asyncio import ConnectionPool

    saved(make(), run())
    store = make("")
    assert await store.runs.find("7") is None
    store.use_pool(ConnectionPool.from_url(redis_server.url))
    assert await store.runs.find("7") is not None


async def test_a_configured_redis_wins_over_arqs(make: Make, redis_server: RedisServer) -> None:
    from redis.asyncio import ConnectionPool

    (closed,) = free_ports(1)
    store = make()
    store.use_pool(ConnectionPool.from_url(f"redis://{HOST}:{closed}/0"))
    saved(store, run())
    assert await make(redis_server.url).runs.find("7") is not None


async def test_many_ask_at_once(make: Make) -> None:
    saved(make(), *(run(str(n), n + 1) for n in range(50)))
    context.forget_all()
    found = await asyncio.gather(*(make().runs.find(str(n)) for n in range(50)))
    assert [each.trace_id for each in found if each is not None] == list(range(1, 51))


class Pool:
    """As much of a connection pool as the store looks at."""

    def __init__(self, **where: Any) -> None:
        self.connection_kwargs = where
        self.connection_class = type("Connection", (), {})


async def test_the_pool_that_carries_the_jobs_is_the_store(
    make: Make, redis_server: RedisServer
) -> None:
    saved(make(), run())
    store = make("")
    nowhere = Pool(host=HOST, port=free_ports(1)[0])
    store.use_pool(nowhere, provisional=True)
    jobs = Pool(host=HOST, port=redis_server.port)
    store.use_pool(jobs, provisional=True)
    assert store._where == nowhere.connection_kwargs  # the first that was made, so far
    store.use_pool(jobs)
    assert await store.runs.find("7") is not None
    store.use_pool(Pool(service_name="sentinel"))  # no plain Redis: what is known stays
    assert store._where == jobs.connection_kwargs


async def test_what_a_full_queue_refused_is_said_in_the_run(
    make: Make, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make()
    with monkeypatch.context() as full:
        full.setattr(stream_module, "MAX_WAITING", -1)
        store.save(run())
    assert store.lost == 1
    assert await make().runs.find("7") is None
    saved(store, run())
    context.forget_all()
    assert await make().runs.find("7") is not None
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        assert "store" in run_of(client).incomplete


async def test_a_fork_leaves_the_parents_work_to_the_parent(make: Make) -> None:
    store = make()
    store.thread._busy = True  # as a parent had it at work when it forked
    store.after_fork()
    saved(store, run())
    context.forget_all()
    assert await make().runs.find("7") is not None


async def test_two_environments_on_one_redis_never_meet(make: Make) -> None:
    saved(make(environment="staging"), run())
    assert await make(environment="production").runs.find("7") is None
    assert await make().runs.find("7") is None
    context.forget_all()
    assert await make(environment="staging").runs.find("7") is not None
