"""What a process had told and not written when it was killed is written by who finds it gone."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from gentrace.core import names
from gentrace.core.run.times import Event, Kind, State
from gentrace.core.scrub import Scrubber
from gentrace.runtime.runs import journal, settle
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.record import OpenSpan, Record
from gentrace.runtime.runs.store import RunStore
from tests.runtime.runs.conftest import Exporter, Make, run
from tests.support.waiting import eventually
from tools import servers
from tools.servers import RedisServer

KEY = "gentrace:t:journal:process-0"
PROMPT = "a lighthouse of nobody's concern"


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dead are found soon."""
    monkeypatch.setattr(settle, "DEAD_AFTER_S", 0.2)
    monkeypatch.setattr(settle, "AWAY_S", 0.0)


def open_journal(store: RunStore) -> RunStore:
    store.thread.start()
    eventually(lambda: store.journal._connection)
    return store


def begun(store: RunStore) -> None:
    events = (Event(Kind.RECEIVED, time.time_ns()),)
    store.note(run(), events=events, root="00000000000000aa", urgent=True)


class Held:
    """A store whose thread writes no change any more: the process is killed before it does."""

    def __init__(self, store: RunStore) -> None:
        self._gate = threading.Event()
        store.thread._write = self._waits

    def _waits(self, _client: Any, _generation_id: str, _changes: list[Change]) -> None:
        self._gate.wait(20)

    def let_go(self) -> None:
        self._gate.set()


@pytest.fixture
def held() -> Generator[Callable[[RunStore], None]]:
    made: list[Held] = []
    yield lambda store: made.append(Held(store))
    for each in made:
        each.let_go()


def die(client: Any) -> None:
    client.zadd("gentrace:t:processes", {"process-0": time.time()})
    time.sleep(0.25)


def record_of(client: Any) -> Record:
    record = Record.load(str(client.hget("gentrace:t:run:7", "record")))
    assert record is not None
    return record


@pytest.mark.usefixtures("quick")
def test_what_it_had_told_is_written_by_another(
    make: Make, client: Any, held: Callable[[RunStore], None]
) -> None:
    exporter = Exporter()
    dead, other = open_journal(make()), make(emit=exporter)
    begun(dead)
    assert dead.flush(60)
    held(dead)
    started_ns = time.time_ns()
    span = OpenSpan("cc" * 8, names.PROCESS_GENERATION, "aa" * 8, started_ns, 4, "process-0")
    dead.note(run(), events=(Event(Kind.JOB_STARTED, started_ns),), counts={names.TRIES: 1})
    dead.note(run(), opened=(span,))
    at_ns = time.time_ns()
    dead.note(run(), at_ns=at_ns, status="completed", urgent=True, facts={names.MODEL: "v5"})
    assert not record_of(client).counts
    die(client)
    other.thread.start()
    (stood_in,) = eventually(lambda: exporter.named(names.PROCESS_GENERATION))
    assert stood_in.context.span_id == 0xCCCCCCCCCCCCCCCC
    (whole,) = eventually(lambda: exporter.named(names.RUN))
    assert whole.end_time == at_ns
    assert whole.attributes[names.TRIES] == 1
    assert whole.attributes[names.MODEL] == "v5"
    eventually(lambda: not client.exists(KEY))


def test_what_is_written_is_struck_out(
    make: Make, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "REGULAR_S", 0.05)
    store = open_journal(make())
    begun(store)
    eventually(lambda: client.exists("gentrace:t:run:7"))
    eventually(lambda: not client.exists(KEY))
    store.note(run(), status="processing")
    store.stop(5)
    assert not client.exists(KEY)
    assert record_of(client).status == "processing"


def test_a_change_that_is_not_written_yet_stays(
    make: Make, client: Any, held: Callable[[RunStore], None]
) -> None:
    store = open_journal(make())
    begun(store)
    assert store.flush(60)
    store.note(run(), status="processing", urgent=True)
    store.note(run("8"), status="processing", urgent=True)
    eventually(lambda: client.zcard(KEY) == 3)
    store.thread._changes.clear()  # as if these two were in hand
    held(store)
    store.note(run("9"), status="failed", urgent=True)
    eventually(lambda: client.zcard(KEY) == 4)
    store.journal.strike()
    eventually(lambda: client.zcard(KEY) <= 1)
    assert client.ttl(KEY) > 0 or not client.exists(KEY)


@pytest.mark.usefixtures("quick")
def test_a_change_counts_once_however_often_it_is_found(make: Make, client: Any) -> None:
    """One that was taken for dead and lives writes what others have written for it already."""
    exporter = Exporter()
    alive, other = open_journal(make()), make(emit=exporter)
    begun(alive)
    for _ in range(5):
        alive.note(run(), counts={names.POLLS: 1})
    assert alive.flush(60)
    assert client.zcard(KEY) == 6
    die(client)
    other.thread.start()
    eventually(lambda: not client.exists(KEY))
    assert record_of(client).counts == {names.POLLS: 5}
    assert not exporter.spans  # nor is told again what came of it


@pytest.mark.usefixtures("quick")
def test_a_creation_that_is_found_again_takes_no_later_run_away(make: Make, client: Any) -> None:
    """A retry began another run meanwhile, in a trace of its own."""
    api, other = open_journal(make()), make(emit=Exporter())
    begun(api)
    assert api.flush(60)
    again = run(trace_id=0xDEF0)
    again.number = 2
    other.note(again, status="pending", urgent=True)
    assert other.flush(60)
    die(client)
    other.thread.start()
    eventually(lambda: not client.exists(KEY))
    assert (record_of(client).number, record_of(client).trace) == (2, f"{0xDEF0:032x}")


@pytest.mark.usefixtures("quick")
def test_what_is_written_and_forgotten_is_not_begun_again(make: Make, client: Any) -> None:
    exporter = Exporter()
    api, other = open_journal(make()), make(emit=exporter)
    begun(api)
    assert api.flush(60)
    client.delete("gentrace:t:run:7")
    client.hset("gentrace:t:past:7", mapping={"trace": f"{0xABC:032x}", "number": 1})
    die(client)
    other.thread.start()
    eventually(lambda: not client.exists(KEY))
    assert not client.exists("gentrace:t:run:7")
    assert not exporter.spans


def test_a_store_does_without_it(make: Make, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection more is to be had: the store's own is none the worse."""

    def refused(_self: journal.Journal, _client: Any) -> None:
        raise redis.ConnectionError("max number of clients reached")

    monkeypatch.setattr(journal.Journal, "_open", refused)
    store = make()
    store.thread.start()
    begun(store)
    assert store.flush(60)
    assert store.journal.regular(store.thread.connection.client()) > 0
    assert store.answers
    assert not client.exists(KEY)


def test_it_goes_with_the_store_to_another_redis(make: Make, client: Any) -> None:
    with servers.redis() as old:
        store = open_journal(make(url="", fallback=old.url))
        begun(store)
        with redis.Redis(port=old.port) as there:
            eventually(lambda: there.exists(KEY))
            port = client.connection_pool.connection_kwargs["port"]
            store.use_pool(redis.ConnectionPool(host="127.0.0.1", port=port))
            eventually(lambda: not there.exists(KEY))
        eventually(lambda: store.journal._connection)
        store.note(run(), status="processing", urgent=True)
        eventually(lambda: client.exists(KEY))


def test_a_signal_in_between_may_tell_something(make: Make, client: Any) -> None:
    store = open_journal(make())
    with store.journal._lock:  # as the interrupted thread has it
        begun(store)
    eventually(lambda: client.exists(KEY))


def test_what_cannot_be_told_is_swallowed(
    make: Make, swallowed: list[tuple[str, BaseException]]
) -> None:
    store = open_journal(make())
    store.journal.add("7", store.change(facts={"a": object()}), True)
    assert [where for where, _ in swallowed] == ["journal"]

    def fails(*_: Any) -> None:
        raise LookupError

    store.shown = fails
    store.note(run(), facts={names.MODEL: "v5"})
    assert [where for where, _ in swallowed] == ["journal", "run store"]
    assert store.lost == 1


def test_nothing_is_opened_after_the_end(make: Make, client: Any) -> None:
    store = make()
    store.thread.start()
    at_work = eventually(store.thread.connection.client)
    store.stop(2)
    store.journal._open(at_work)
    assert store.journal._connection is None


@pytest.mark.usefixtures("quick", "swallowed")
def test_damage_in_it_is_passed_over(make: Make, client: Any) -> None:
    exporter = Exporter()
    dead, other = open_journal(make()), make(emit=exporter)
    begun(dead)
    assert dead.flush(60)
    good = dead.change(status="failed", seq=dead.thread._last + 5).plain()
    odd = ["{", "[]", '["7"]', '["7", {}]', '["7", {"instance": 1, "events": [["x"]]}]', '["7", 3]']
    bad = [{**good, "seq": "x"}, {**good, "facts": 3}, {**good, "at_ns": None}]
    for score, text in enumerate([*odd, *(json.dumps(["8", each]) for each in bad)]):
        client.zadd(KEY, {text: score})
    client.zadd(KEY, {json.dumps(["7", good]): 99})
    die(client)
    other.thread.start()
    eventually(lambda: not client.exists(KEY))
    assert record_of(client).status == "failed"


@pytest.mark.usefixtures("quick")
def test_what_cannot_be_written_holds_up_nothing(
    make: Make,
    client: Any,
    held: Callable[[RunStore], None],
    swallowed: list[tuple[str, BaseException]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead, other = open_journal(make()), make(emit=Exporter())
    begun(dead)
    assert dead.flush(60)
    held(dead)
    dead.note(run("6"), status="failed")
    dead.note(run(), status="failed", urgent=True)
    write = other.writer.write

    def failing(its: Any, generation_id: str, changes: Sequence[Change]) -> bool:
        if generation_id == "6":
            raise LookupError("damaged")
        return write(its, generation_id, changes)

    monkeypatch.setattr(other.writer, "write", failing)
    die(client)
    other.thread.start()
    eventually(lambda: not client.exists(KEY))
    assert record_of(client).status == "failed"
    assert [where for where, _ in swallowed] == ["journal"]


def test_nothing_private_is_in_it(
    make: Make, client: Any, held: Callable[[RunStore], None]
) -> None:
    store = open_journal(make())
    store.shown = Scrubber(b"key").attribute
    held(store)
    known, mail = run(), "bob@example.com"
    known.prompts = (PROMPT,)
    opened = OpenSpan("b" * 16, "job", "", 1, 4, "i", {names.MESSAGING_MESSAGE_ID: f"send:{mail}"})
    store.note(
        known, facts={names.MODEL: PROMPT, names.ACCOUNT_ID: mail}, opened=(opened,), urgent=True
    )
    (text,) = eventually(lambda: client.zrange(KEY, 0, -1))
    assert mail not in text
    assert "lighthouse" not in text


def test_it_waits_for_nobody(make: Make) -> None:
    """A Redis that takes nothing: the connection is given up as soon as the kernel is full."""
    with servers.redis() as server:
        store = open_journal(make(url=server.url))
        long = {f"generation.{number}": "x" * 200 for number in range(60)}
        with redis.Redis(port=server.port) as its:
            pid = int(its.info("server")["process_id"])  # type: ignore[index]
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(2_000):
                store.journal.add("7", store.change(facts=long, seq=store.thread._last + 1), True)
                if store.journal._connection is None:
                    break
            assert store.journal._connection is None
        finally:
            os.kill(pid, signal.SIGCONT)
        store.thread.connection._paused_until = 0.0
        store.thread.hurry(0)
        eventually(lambda: store.journal._connection)


def test_a_connection_that_redis_has_closed_is_made_anew(
    make: Make, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "REGULAR_S", 0.05)
    store = open_journal(make())
    first = store.journal._connection
    client.client_kill_filter(_type="normal", skipme=True)
    eventually(lambda: store.journal._connection not in (None, first))
    begun(store)
    eventually(lambda: client.exists("gentrace:t:run:7"))


def test_one_that_is_of_no_use_any_more_is_made_anew_at_once(make: Make) -> None:
    """A worker learns of its Redis as it starts: it is not to be without a journal then."""
    store = open_journal(make())
    first, store.journal._opened_for = store.journal._connection, object()
    store.thread.hurry(0)
    eventually(lambda: store.journal._connection not in (None, first), 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_leaves_its_parents_connection_alone(make: Make, client: Any) -> None:
    store = open_journal(make())
    pid = os.fork()
    if not pid:  # pragma: no cover
        store.after_fork()
        store.journal.close()
        os._exit(0 if store.journal._connection is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    begun(store)
    eventually(lambda: client.zcard(KEY) == 1)


numbers, words = st.integers(0, 2**62), st.text(max_size=20)
stories = st.builds(
    Change,
    words,
    numbers,
    numbers,
    trace=words,
    number=numbers,
    events=st.lists(
        st.builds(
            Event,
            st.sampled_from(Kind),
            numbers,
            numbers,
            st.none() | st.sampled_from(State),
            numbers,
            numbers,
        ),
        max_size=3,
    ).map(tuple),
    facts=st.dictionaries(words, st.none() | words | st.integers() | st.booleans(), max_size=3),
    counts=st.dictionaries(words, numbers, max_size=3),
    status=words,
    not_coming=st.booleans(),
    incomplete=st.lists(words, max_size=2).map(tuple),
    links=st.lists(st.tuples(words, words, words), max_size=2).map(tuple),
    opened=st.lists(
        st.builds(
            OpenSpan, words, words, words, numbers, numbers, words, st.dictionaries(words, words)
        ),
        max_size=2,
    ).map(tuple),
    closed=st.lists(words, max_size=2).map(tuple),
    existing_only=st.booleans(),
)


@given(stories)
def test_a_change_comes_back_as_it_went(change: Change) -> None:
    assert Change.of(json.loads(json.dumps(change.plain()))) == change
    later = {**change.plain(), "of_a_later_version": 1}
    assert Change.of(json.loads(json.dumps(later))) == replace(change)
