"""The store's thread: what it gathers, in which order it works, how it waits, what it drops."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
import redis

from gentrace.runtime.runs import connection
from gentrace.runtime.runs import thread as module
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.thread import StoreThread
from tests.support.waiting import eventually
from tools.servers import HOST, RedisServer, free_ports

Writes = list[tuple[str, list[int]]]


class Kept:
    """A thread whose writes are kept, and fail as long as they are told to."""

    def __init__(self, url: str | None) -> None:
        self.writes: Writes = []
        self.fails: Exception | None = None
        self.regular = 0
        self.thread = StoreThread(lambda: url, self._write, self._regular)

    def _write(self, _client: Any, generation_id: str, changes: list[Change]) -> None:
        if self.fails is not None:
            raise self.fails
        self.writes.append((generation_id, [change.at_ns for change in changes]))

    def _regular(self, _client: Any) -> float:
        self.regular += 1
        return 0.05

    def tell(self, generation_id: str, number: int, urgent: bool = False) -> None:
        self.thread.change(generation_id, replace(CHANGE, at_ns=number), urgent)


CHANGE = Change("me", 0, 0)
Make = Callable[..., Kept]


@pytest.fixture
def make(redis_server: RedisServer) -> Generator[Make]:
    made: list[Kept] = []

    def new(url: str | None = redis_server.url) -> Kept:
        made.append(Kept(url))
        return made[-1]

    yield new
    for each in made:
        each.thread.stop(2)


def test_changes_of_one_generation_are_written_together(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHER_S", 0.2)
    kept = make()
    begun = time.monotonic()
    for number in range(1, 4):
        kept.tell("7", number)
        kept.tell("8", number)
    eventually(lambda: len(kept.writes) == 2)
    assert time.monotonic() - begun >= 0.2
    assert kept.writes == [("7", [1, 2, 3]), ("8", [1, 2, 3])]


def test_an_urgent_change_takes_all_along(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER_S", 60)
    kept = make()
    kept.tell("7", 1)
    kept.tell("8", 2, urgent=True)
    eventually(lambda: len(kept.writes) == 2)
    assert kept.writes == [("7", [1]), ("8", [2])]


def test_what_is_asked_goes_first(make: Make) -> None:
    kept, order, gate = make(), list[str](), threading.Event()
    kept.thread.ask(lambda _client: gate.wait(60))
    kept.tell("7", 1, urgent=True)
    kept.thread.ask(lambda _client: order.append(f"asked after {len(kept.writes)} writes"))
    gate.set()
    eventually(lambda: order and kept.writes)
    assert order == ["asked after 0 writes"]


def test_what_redis_did_not_take_is_written_later_and_before_what_came_since(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PAUSE_S", 0.3)
    kept = make()
    kept.fails = redis.ConnectionError("away")
    kept.tell("7", 1, urgent=True)
    eventually(lambda: kept.thread.connection.paused)
    assert kept.thread.connection.troubled
    assert not kept.thread.flush(1)  # at once: it would wait for nothing
    kept.tell("8", 2)
    kept.tell("7", 3)
    assert kept.writes == []
    kept.fails = None
    eventually(lambda: len(kept.writes) == 2)
    assert kept.writes == [("7", [1, 3]), ("8", [2])]
    assert kept.thread.lost == 0
    assert not kept.thread.connection.troubled


def test_a_change_that_no_redis_would_take_is_dropped_and_remembered(
    make: Make, swallowed: list[Any]
) -> None:
    kept = make()
    kept.fails = redis.ResponseError("WRONGTYPE")
    kept.tell("7", 1, urgent=True)
    eventually(lambda: kept.thread.lost == 1)
    assert kept.thread.holes == {"7"}
    assert not kept.thread.connection.paused
    assert [type(exc) for _, exc in swallowed] == [redis.ResponseError]
    kept.fails = None
    kept.tell("8", 2, urgent=True)
    eventually(lambda: kept.writes == [("8", [2])])


def test_memory_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    kept = make()
    kept.fails = redis.ConnectionError("away")
    kept.tell("7", 0, urgent=True)
    # paused comes first; then the change that was refused waits again
    eventually(lambda: kept.thread.connection.paused and kept.thread._waiting == 1)
    for number in range(5):
        kept.tell(str(number), number)
    assert kept.thread.lost == 3
    assert kept.thread.holes == {"2", "3", "4"}


def test_numbers_are_given_as_they_are_written(make: Make) -> None:
    kept, seen = make(), list[int]()
    kept.thread._write = lambda _client, _id, changes: seen.extend(c.seq for c in changes)
    threads = [
        threading.Thread(target=lambda: [kept.tell("7", n) for n in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.thread.flush(60)
    assert seen == sorted(set(seen))
    assert len(seen) == 200


def test_regular_work_goes_on_and_stops_with_the_thread(make: Make) -> None:
    kept = make()
    kept.thread.start()
    eventually(lambda: kept.regular >= 3)
    kept.thread.stop(2)
    count = kept.regular
    kept.thread.hurry(0)
    kept.thread.start()
    assert kept.regular == count
    assert kept.thread._thread is not None
    assert not kept.thread._thread.is_alive()


def test_without_a_redis_nothing_is_asked_of_it(make: Make) -> None:
    kept = make(None)
    answers = list[Any]()
    kept.thread.ask(answers.append)
    eventually(lambda: answers == [None])
    kept.thread.put(lambda _client: answers.append("written"), "7")
    kept.thread.flush(0.5)
    assert answers == [None]


def test_an_address_that_is_none_is_said_once(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = make("nonsense")
    kept.tell("7", 1, urgent=True)
    kept.thread.ask(lambda _client: None)
    eventually(lambda: kept.thread.connection.paused)
    assert capsys.readouterr().err.count("does not answer (ConnectionError)") == 1


def test_that_no_redis_is_known_is_said_once(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = make(None)
    kept.tell("7", 1, urgent=True)
    eventually(lambda: kept.thread.connection.paused)
    said = capsys.readouterr().err
    assert said.count("no Redis is known") == 1
    assert "does not answer" not in said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_thread_of_its_own(make: Make) -> None:
    kept = make()
    kept.tell("7", 1, urgent=True)
    eventually(lambda: kept.writes)
    pid = os.fork()
    if not pid:  # pragma: no cover
        kept.thread.after_fork()
        kept.writes.clear()
        kept.tell("8", 2, urgent=True)
        kept.thread.flush(5)
        os._exit(0 if kept.writes == [("8", [2])] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_redis_with_little_room_is_left_alone(
    make: Make,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(connection, "_MEMORY_EVERY_S", 0.0)
    kept = make()
    with redis.Redis(port=redis_server.port) as client:
        used = int(client.info("memory")["used_memory"])  # type: ignore[index]
        client.config_set("maxmemory", round(used * 1.1))
        try:
            kept.tell("7", 1, urgent=True)
            kept.thread.put(lambda _client: kept.writes.append(("put", [])), "7")
            eventually(lambda: kept.thread.lost == 2)
            assert kept.thread.connection.full
        finally:
            client.config_set("maxmemory", 0)
    assert kept.writes == []
    assert "more than 80 % full" in capsys.readouterr().err
    kept.tell("7", 2, urgent=True)
    eventually(lambda: kept.writes == [("7", [2])])
    assert kept.thread.holes == {"7"}  # said by whoever writes the record next


def test_another_redis_is_asked_at_once(make: Make, redis_server: RedisServer) -> None:
    kept = make()
    (closed,) = free_ports(1)
    places = [f"redis://{HOST}:{closed}/0", redis_server.url]
    kept.thread.connection._where = lambda: places[0]
    found = list[Any]()
    kept.thread.ask(lambda client: client.ping())
    eventually(lambda: kept.thread.connection.paused)
    places.pop(0)
    kept.thread.move()
    kept.thread.ask(lambda client: found.append(client.ping()))
    eventually(lambda: found == [True])
