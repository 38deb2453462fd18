"""What a process does for runs beside its own part: notes before it exports, lives, leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, TraceFlags

from gentrace.core.run.events import OpenSpan
from gentrace.core.run.rules import Settling
from gentrace.runtime.context import Run
from gentrace.runtime.liveness import Liveness
from gentrace.runtime.store.store import RunStore
from gentrace.runtime.upkeep import Upkeep
from tests.runtime.store.conftest import runs_of
from tests.support.waiting import eventually
from tools.servers import RedisServer

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")
KEY = "gentrace:t:"


class Process:
    """As much of a process, and of an engine, as upkeep looks at."""

    def __init__(self, url: str, role: str = "worker") -> None:
        self.sent: list[Any] = []
        self.engine: Any = SimpleNamespace(
            process=SimpleNamespace(
                instance="me",
                role=role,
                pid=1,
                queue="q",
                service_name=lambda: "t-worker",
                shown_name=lambda: "t-worker",
            ),
            tracing=SimpleNamespace(open=None),
            pipeline=SimpleNamespace(before=None, after=None, lost=0),
            liveness=Liveness(),
            guards={},
            store=RunStore("t", Settling({"done": "completed"}, {}), url, instance=lambda: "me"),
        )
        self.upkeep = Upkeep(
            self.engine, self._emit, more=lambda: {"stale": ["a.py"], "changes_lost": 0}
        )

    def _emit(self, span: Any, done: Callable[[bool], None] | None) -> None:
        self.sent.append(span)
        if done is not None:
            done(True)


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        found.flushall()
        yield found


@pytest.fixture
def process(client: Any, redis_server: RedisServer) -> Generator[Process]:
    made = Process(redis_server.url)
    yield made
    made.engine.store.stop(2)


def open_of(client: Any) -> dict[str, OpenSpan]:
    found = runs_of(client)
    return found[-1].open if found else {}


def known_run() -> Run:
    return Run("7", SpanContext(0xABC, 0xDEF, False, TraceFlags(1)))


def test_it_lives_from_its_role_on_and_says_what_it_is(process: Process, client: Any) -> None:
    process.upkeep.begin()
    record = json.loads(eventually(lambda: client.get(KEY + "process:me")))
    assert {"instance", "role", "machine", "pid", "queue", "spans_lost", "hooks_off"} <= set(record)
    assert record["stale"] == ["a.py"]
    assert record["alive"]


def test_without_a_role_it_gives_no_sign(client: Any, redis_server: RedisServer) -> None:
    process = Process(redis_server.url, role="")
    process.upkeep.begin()
    process.engine.store.thread.flush(1)
    process.upkeep.leave()
    process.engine.store.stop(2)
    assert client.keys(KEY + "process*") == []


def test_it_leaves_with_a_word(process: Process, client: Any) -> None:
    process.upkeep.begin()
    eventually(lambda: client.zscore(KEY + "processes", "me"))
    process.upkeep.leave()
    assert client.zscore(KEY + "processes", "me") is None
    assert json.loads(client.get(KEY + "process:me"))["alive"] is False


def test_it_leaves_once_what_it_told_is_written(
    process: Process, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should it be killed before, others must take it for dead and write what it told."""
    store, order = process.engine.store, list[str]()
    send, leave = store.stream.send, process.engine.liveness.leave
    monkeypatch.setattr(store.stream, "send", lambda: (order.append("sent"), send()))
    monkeypatch.setattr(
        process.engine.liveness, "leave", lambda *given: (order.append("left"), leave(*given))
    )
    process.upkeep.begin()
    eventually(lambda: client.zscore(KEY + "processes", "me"))
    with store.thread._wake:  # the thread finds all of it at once
        for generation_id in ("7", "8", "9"):
            run = known_run()
            run.generation_id = generation_id
            store.note(run, status="done")
        process.upkeep.ending()
    eventually(lambda: "left" in order)
    assert order[0] == "sent"
    assert order.count("left") == 1
    assert all(client.llen(KEY + f"events:{each}") for each in ("7", "8", "9"))


def test_parents_are_in_redis_before_their_children_leave(process: Process, client: Any) -> None:
    run, spans = known_run(), process.upkeep.open
    parent = TRACER.start_span("parent")
    spans.began(parent, run)
    child: Any = TRACER.start_span("child", trace.set_span_in_context(parent))
    child.end()
    process.engine.pipeline.before([child])
    (noted,) = open_of(client).values()
    assert (noted.name, noted.end_ns) == ("parent", 0)
    assert client.smembers(KEY + "open:me") == {"7"}
    parent.end()
    spans.changed(parent)
    eventually(lambda: [each.end_ns for each in open_of(client).values()] == [noted_end(parent)])
    process.engine.pipeline.after([parent])
    eventually(lambda: not open_of(client))
    process.engine.store.stream.strike_out()
    assert process.engine.store.flush(60)
    assert client.smembers(KEY + "open:me") == set()


def noted_end(span: Any) -> int:
    return int(span.end_time)


def test_what_is_handed_on_is_noted_in_the_same_step(process: Process, client: Any) -> None:
    parent: Any = TRACER.start_span("enqueue")
    run = Run("7", parent.get_span_context())
    process.upkeep.open.began(parent, run)
    process.engine.store.note(run, urgent=True)
    assert process.engine.store.flush(60)
    assert [each.name for each in open_of(client).values()] == ["enqueue"]


def test_an_exporter_that_fails_is_told_as_such(
    process: Process, swallowed: list[tuple[str, BaseException]]
) -> None:
    def fails(_span: Any, _done: Any) -> None:
        raise RuntimeError

    process.upkeep._emit = fails
    told: list[bool] = []
    process.upkeep._send(TRACER.start_span("run"), told.append)  # type: ignore[arg-type]
    assert told == [False]
    assert len(swallowed) == 1


def test_a_forked_child_has_nothing_of_its_parents(process: Process) -> None:
    process.upkeep.open.began(TRACER.start_span("parent's"), known_run())
    process.engine.liveness.job_started("j", "f", "7", 1)
    process.upkeep.after_fork()
    assert not process.upkeep.open._open
    assert process.engine.liveness.record()["jobs"] == {}
