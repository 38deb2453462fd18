"""The record of what a process is doing, and how it comes to the others."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from gentrace.runtime import liveness as module
from gentrace.runtime.liveness import Liveness
from gentrace.runtime.store.keys import BEAT_TTL_S, Keys
from tools.servers import RedisServer

KEY = Keys("t")


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        found.flushall()
        yield found


@pytest.fixture
def live() -> Liveness:
    made = Liveness()
    made.describe = lambda: {"instance": "me", "role": "worker"}
    return made


def test_jobs_in_hand(live: Liveness) -> None:
    live.job_started("j1", "process", "7", 2)
    live.job_started("j2", "cron:poll", None, None)
    live.job_over("j2")
    live.job_over("never begun")
    (job,) = live.record()["jobs"].values()
    assert (job["function"], job["generation_id"], job["job_try"]) == ("process", "7", 2)
    assert datetime.fromisoformat(job["started_at"]).tzinfo is not None


def test_crons_with_their_last_error(live: Liveness) -> None:
    live.ticked("poll")
    live.ticked("poll", "OSError")
    live.ticked("poll")
    ticks = live.record()["crons"]["poll"]
    assert (ticks["ticks"], ticks["last_error"]) == (3, "OSError")
    assert ticks["last_error_at"] <= ticks["last_tick"]


def test_polls(live: Liveness) -> None:
    live.asking("7")
    assert live.record()["awaited"]["7"]["asking_since"]
    live.polled("7", "processing", 0.25)
    live.polled("7")
    awaited = live.record()["awaited"]["7"]
    assert (awaited["polls"], awaited["provider_status"], awaited["progress"]) == (
        2,
        "processing",
        0.25,
    )
    assert not awaited["asking_since"]
    live.poll_failed("7", "ReadTimeout")
    assert live.record()["awaited"]["7"]["last_error"] == "ReadTimeout"
    live.polled("7")
    assert not live.record()["awaited"]["7"]["last_error"]
    live.over("7")
    assert live.record()["awaited"] == {}


def test_what_is_awaited_is_bounded(live: Liveness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_WAITING", 3)
    for number in range(10):
        live.polled(str(number))
    assert list(live.record()["awaited"]) == ["7", "8", "9"]


def test_what_nobody_asks_about_any_more_is_dropped(
    live: Liveness, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: at_s)
    monkeypatch.setattr(module, "time", clock)
    at_s = 1000.0
    live.polled("7", "processing")
    live.polled("8", "processing")
    at_s += module.UNASKED_S
    live.asking("7")
    assert list(live.record()["awaited"]) == ["8", "7"]
    at_s += 1
    assert list(live.record()["awaited"]) == ["7"]
    assert live.record()["awaited"]["7"]["polls"] == 1
    at_s += module.UNASKED_S
    assert live.record()["awaited"] == {}


def test_a_sign_of_life_is_given_in_its_time(
    live: Liveness, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert live.beat(client, KEY, "me") == module.EVERY_S
    record = json.loads(client.get(KEY.process("me")))
    assert record["alive"]
    assert record["role"] == "worker"
    assert 0 < client.ttl(KEY.process("me")) <= BEAT_TTL_S
    first = client.zscore(KEY.processes, "me")
    left = live.beat(client, KEY, "me")
    assert 0 < left <= module.EVERY_S
    assert client.zscore(KEY.processes, "me") == first
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    live.beat(client, KEY, "me")
    assert client.zscore(KEY.processes, "me") > first


def test_a_sign_of_life_that_redis_did_not_take_is_given_again(live: Liveness, client: Any) -> None:
    client.set(KEY.processes, "no set")
    with pytest.raises(redis.ResponseError):
        live.beat(client, KEY, "me")
    client.delete(KEY.processes)
    live.beat(client, KEY, "me")
    assert client.zscore(KEY.processes, "me")


def test_who_leaves_says_so(live: Liveness, client: Any) -> None:
    live.beat(client, KEY, "me")
    live.leave(client, KEY, "me")
    assert client.zscore(KEY.processes, "me") is None
    assert json.loads(client.get(KEY.process("me")))["alive"] is False


def test_a_forked_child_begins_anew(live: Liveness, client: Any) -> None:
    live.job_started("j1", "process", "7", 1)
    live.beat(client, KEY, "me")
    live.forget()
    assert live.record()["jobs"] == {}
    assert live.beat(client, KEY, "child") == module.EVERY_S
