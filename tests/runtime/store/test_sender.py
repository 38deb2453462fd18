"""What is told reaches Redis: whoever is killed, whatever is lost, whichever server it is."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Generator
from typing import Any

import pytest
import redis

from gentrace.core import names
from gentrace.core.run.times import Event, Kind
from gentrace.runtime.store import stream as stream_module
from gentrace.runtime.store.sender import Entry
from gentrace.runtime.store.store import RunStore
from gentrace.runtime.store.wire import Answers, Refused, packed
from tests.runtime.store.conftest import Exporter, Make, run, run_of
from tests.runtime.store.test_settle import attributes, begun, ended, eventually
from tests.support.delaying import delaying
from tests.support.lasting import lasting
from tools.servers import RedisServer

KEY = "gentrace:t:"


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        yield found


def connected(store: RunStore) -> RunStore:
    """A store whose steps go to the kernel at once."""
    store.thread.start()
    eventually(lambda: store.stream.sender.is_open)
    return store


# -- on the wire -------------------------------------------------------------------------------
def test_answers_are_read_however_they_are_cut() -> None:
    whole = b"+OK\r\n:12\r\n$3\r\na\r\n\r\n$-1\r\n-OOM command not allowed\r\n_\r\n"
    for size in range(1, len(whole) + 1):
        answers, found = Answers(), list[Any]()
        for at in range(0, len(whole), size):
            found += answers.take(whole[at : at + size])
        assert [str(each) for each in found] == [
            "OK",
            "12",
            "a\r\n",
            "",
            "OOM command not allowed",
            "",
        ]
        assert isinstance(found[4], Refused)
        assert found[4].is_outage


def test_what_is_no_answer_of_ours_is_an_error() -> None:
    with pytest.raises(ValueError, match="no answer"):
        Answers().take(b"*1\r\n:1\r\n")


# -- a process that is gone --------------------------------------------------------------------
def test_what_was_told_is_there_though_the_process_was_killed_at_once(
    make: Make, client: Any
) -> None:
    """The thread has not had the time to do anything."""
    pid = os.fork()
    if not pid:
        store = connected(make())
        begun(store)
        store.flush(10)
        with store.thread._wake:  # nor will it
            store.note(run(), counts={names.TRIES: 1})
            store.note(run(), status="completed", urgent=True)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    eventually(lambda: client.llen(KEY + "events:7") >= 2)
    assert run_of(client).status == "completed"
    assert run_of(client).counts == {names.TRIES: 1}
    assert client.zscore(KEY + "due", "7")


def test_a_forked_child_leaves_its_parents_connection_alone(make: Make, client: Any) -> None:
    store = connected(make())
    begun(store)
    pid = os.fork()
    if not pid:
        store.after_fork()
        store.note(run("8"), events=(Event(Kind.RECEIVED, time.time_ns()),), urgent=True)
        os._exit(0 if store.flush(30) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    store.note(run(), stage="queued", urgent=True)
    assert store.flush(60)
    assert client.exists(KEY + "events:8")
    assert run_of(client).stage == 1


# -- a Redis that has lost, or has not answered ------------------------------------------------
def test_an_answer_that_was_lost_counts_nothing_twice(make: Make, client: Any) -> None:
    store = connected(make())
    begun(store)
    assert store.flush(60)
    store.note(run(), counts={names.TRIES: 1}, urgent=True)
    with store.stream.sender.lock:  # the connection is gone before the answer was read
        sent = store.stream.sender._socket
        if sent is not None:
            sent.shutdown(socket.SHUT_RDWR)
    store.note(run(), stage="queued", urgent=True)
    assert eventually(lambda: store.flush(5))
    assert run_of(client).counts == {names.TRIES: 1}
    assert run_of(client).stage == 1
    assert store.lost == 0


def test_what_a_new_master_lacks_is_told_again(make: Make, client: Any) -> None:
    """It took over, and the last that was acknowledged had not come to it."""
    store = connected(make())
    begun(store)
    store.note(run(), counts={names.TRIES: 1}, urgent=True)
    assert store.flush(60)
    client.rpop(KEY + "events:7")
    client.client_kill_filter(_type="normal", skipme=True)
    store.note(run(), stage="queued", urgent=True)
    eventually(lambda: run_of(client).counts == {names.TRIES: 1})
    assert eventually(lambda: store.flush(5))
    assert run_of(client).stage == 1


def test_a_redis_that_was_emptied_is_told_by_all(make: Make, client: Any) -> None:
    exporter = Exporter()
    api, worker = make(emit=exporter), make()
    begun(api)
    worker.note(run(), counts={names.TRIES: 1}, urgent=True)
    assert worker.flush(60)
    assert api.flush(60)
    client.flushall()
    ended(api)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.TRIES] == 1
    assert names.INCOMPLETE not in attributes(span)


def test_an_end_of_which_nobody_knows_the_run_is_told_all_the_same(make: Make, client: Any) -> None:
    """Redis was emptied, and every process is another."""
    exporter = Exporter()
    store = make(emit=exporter)
    store.note_of("7", store.step(status="completed", old="processing"), urgent=True)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.OUTCOME] == "completed"
    assert set(attributes(span)[names.INCOMPLETE]) == {names.NO_STORE, names.ADOPTED}
    assert span.context is not None
    assert span.context.is_valid


def test_a_status_that_is_none_begins_no_run(make: Make, client: Any) -> None:
    store = make()
    store.note_of("7", store.step(status="processing"), urgent=True)
    assert store.flush(60)
    assert client.keys(KEY + "events:*") == []
    assert store.stream._mine == {}
    assert store.lost == 0


def test_a_connection_that_is_slow_loses_nothing(
    make: Make, redis_server: RedisServer, client: Any
) -> None:
    with delaying(redis_server.port, 0.1) as wire:
        store = make(wire.url)
        begun(store)
        with lasting() as took:
            for _ in range(100):
                store.note(run(), counts={names.TRIES: 1}, urgent=True)
        assert took[0] < 1
        assert eventually(lambda: store.flush(5))
        assert run_of(client).counts == {names.TRIES: 100}
        store.stop(2)


# -- a Redis that refuses ----------------------------------------------------------------------
def test_a_command_that_is_denied_is_named(
    make: Make, redis_server: RedisServer, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    client.execute_command(
        "ACL", "SETUSER", "few", "on", ">word", "~*", "+@all", "-rpush", "-rpushx"
    )
    try:
        store = make(f"redis://few:word@localhost:{redis_server.port}/0")
        begun(store)
        store.flush(10)
        assert store.misses("7")
        said = capsys.readouterr().err
        assert "rpush" in said
        assert "~gentrace:t:*" in said
        assert "word" not in said
        store.stop(2)
    finally:
        client.execute_command("ACL", "DELUSER", "few")


def test_info_that_is_denied_is_no_fault(
    make: Make, redis_server: RedisServer, client: Any
) -> None:
    client.execute_command("ACL", "SETUSER", "few", "on", ">word", "~*", "+@all", "-info")
    try:
        store = make(f"redis://few:word@localhost:{redis_server.port}/0")
        begun(store)
        assert store.flush(10)
        assert store.lost == 0
        store.stop(2)
    finally:
        client.execute_command("ACL", "DELUSER", "few")


@pytest.mark.parametrize(("policy", "takes"), [("noeviction", False), ("allkeys-lru", True)])
def test_a_redis_that_makes_room_by_itself_is_not_full(
    policy: str, takes: bool, make: Make, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    used = int(client.info("memory")["used_memory"])
    client.config_set("maxmemory-policy", policy)
    client.config_set("maxmemory", used + used // 10)
    try:
        store = make()
        begun(store)
        store.flush(10)
        assert (store.lost == 0) is takes
        assert ("80 % full" in capsys.readouterr().err) is not takes
    finally:
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")


def test_memory_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_WAITING", 50)
    store = make("")
    for _ in range(100):
        store.note(run(), counts={names.TRIES: 1})
    assert store.lost == 50
    assert store.misses("7")


def test_what_redis_has_goes_first_where_there_is_no_room(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_MAX_RUNS", 10)
    store = make()
    for number in range(30):
        store.note(run(str(number), number + 1), urgent=True)
        assert store.flush(60)
    assert len(store.stream._mine) == 10


def test_a_signal_in_between_may_tell_something(make: Make, client: Any) -> None:
    store = connected(make())
    begun(store)
    with store.stream.sender.lock:
        store.note(run(), counts={names.TRIES: 1}, urgent=True)
    store.stream.sender.send(Entry(packed("PING"), 1, "7"))
    assert store.flush(60)
    assert run_of(client).counts == {names.TRIES: 1}
