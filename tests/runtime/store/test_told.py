"""What a process tells of a run: in which order it counts, and what of it is written."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

import pytest
import redis

from gentrace.core import names
from gentrace.core.run.events import OpenSpan
from gentrace.core.run.times import Event, Kind
from gentrace.core.scrub import Scrubber
from gentrace.runtime import context
from gentrace.runtime.store.keys import Keys
from gentrace.runtime.store.store import RunStore
from tests.runtime.store.conftest import Make, run, run_of
from tools.servers import RedisServer

PROMPT = "a lighthouse of nobody's concern"


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        yield found


def begun(store: RunStore) -> None:
    store.note(run(), events=(Event(Kind.RECEIVED, time.time_ns()),), root="00000000000000aa")


def test_threads_that_tell_at_once_hide_nothing_of_each_other(make: Make, client: Any) -> None:
    store = make()
    begun(store)
    told = [store.step(counts={names.POLLS: 1}) for _ in range(200)]

    def tell(some: list[Any]) -> None:
        for change in some:
            store.note(run(), change, urgent=True)

    threads = [threading.Thread(target=tell, args=(told[n::4],)) for n in range(4)]
    for thread in reversed(threads):  # what was made first is told last
        thread.start()
    for thread in threads:
        thread.join()
    assert store.flush(60)
    assert run_of(client).counts[names.POLLS] == len(told)


def test_facts_are_written_as_they_may_be_shown(make: Make, client: Any) -> None:
    store = make()
    store.shown = Scrubber(b"k" * 32).attribute
    known = run()
    known.prompts = (PROMPT,)
    context.remember(known)
    begun(store)
    mail = "bob@example.com"
    opened = OpenSpan("b" * 16, "job", "", 1, 4, "i", {names.MESSAGING_MESSAGE_ID: f"send:{mail}"})
    facts = {names.ACCOUNT_ID: mail, names.MODEL: PROMPT, names.PROVIDER: "pixverse"}
    store.note(known, facts=facts, opened=(opened,), urgent=True)
    assert store.flush(60)
    facts_known = run_of(client).facts
    assert facts_known[names.PROVIDER] == "pixverse"
    assert facts_known[names.MODEL].startswith("<prompt:")
    there = "".join(client.lrange("gentrace:t:events:7", 0, -1))
    assert mail not in there
    assert "lighthouse" not in there


@pytest.mark.parametrize(
    "given", ["bob@example.com", "https://x.example/?token=1", "a b", "x" * 200]
)
def test_a_key_holds_an_id_or_its_hash(given: str) -> None:
    keys = Keys("t")
    assert given not in keys.alias("provider", given)
    assert given not in keys.job(given)
    assert keys.alias("provider", given) == keys.alias("provider", given)
    assert keys.alias("asset", "12") == "gentrace:t:alias:asset:12"
    assert keys.job("gen:12-ab.c") == "gentrace:t:job:gen:12-ab.c"
    assert keys.job("8b7c1c3e0e3f4d5a9a3d111111111111").endswith(
        ":8b7c1c3e0e3f4d5a9a3d111111111111"
    )
