"""Runs in a real Redis: settled, written once, taken over, put back, left by the dead."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
import redis
from opentelemetry.sdk.trace import ReadableSpan

from gentrace.core import names
from gentrace.core.run.events import OpenSpan
from gentrace.core.run.times import Event, Kind
from gentrace.runtime.store import dead, settle
from gentrace.runtime.store.store import RunStore
from gentrace.runtime.store.sweep import Sweeper
from tests.runtime.store.conftest import Exporter, Make, run, run_of, runs_of
from tests.support.waiting import eventually
from tools.servers import RedisServer


@pytest.fixture
def client(redis_server: RedisServer) -> Generator[Any]:
    with redis.Redis(port=redis_server.port, decode_responses=True) as found:
        yield found


def job_span(start_ns: int, instance: str = "process-0") -> OpenSpan:
    """The open span of a try of the run's job."""
    of_a_job = names.PROCESS_GENERATION, "00000000000000aa", start_ns, 4
    return OpenSpan("00000000000000cc", *of_a_job, instance)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def begun(store: RunStore, trace_id: int = 0xABC) -> None:
    store.note(
        run(trace_id=trace_id),
        events=(Event(Kind.RECEIVED, time.time_ns()),),
        root="00000000000000aa",
        urgent=True,
    )


def ended(store: RunStore, status: str = "completed") -> int:
    """Tell of a final status; gives the moment (ns)."""
    at_ns = time.time_ns()
    store.note(run(), at_ns=at_ns, status=status, urgent=True)
    return at_ns


def test_what_comes_when_the_span_is_written_is_counted(make: Make, client: Any) -> None:
    """It cannot be on the span any more; what has no place in the run is no loss."""
    exporter = Exporter()
    store, other = make(emit=exporter), make()
    begun(store)
    queued_ns = time.time_ns()
    at_ns = ended(store)
    eventually(lambda: (found := runs_of(client)) and found[-1].written)
    other.note(run(), events=(Event(Kind.JOB_OVER, at_ns + 5),), urgent=True)
    other.note(run(), events=(Event(Kind.ENQUEUED, queued_ns),), urgent=True)
    assert other.flush(60)
    sweeper = Sweeper(store)
    sweeper._look_at(client, "7")
    assert store.too_late == 1
    assert run_of(client).ended_ns == at_ns
    assert len(exporter.named(names.RUN)) == 1


def test_a_run_ends_with_the_commit_of_its_final_status(make: Make) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    at_ns = ended(store)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert span.end_time == at_ns
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "00000000000000aa"
    assert attributes(span)[names.OUTCOME] == "completed"
    assert span.status.is_unset


def test_a_failed_run_is_an_error_with_the_hosts_code(make: Make) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    store.note(run(), facts={names.ERROR_CODE: "content_filtered"})
    ended(store, "failed")
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert not span.status.is_ok
    assert attributes(span)[names.ERROR_CODE] == "content_filtered"
    assert attributes(span)[names.ERROR_TYPE]


def test_a_failure_that_is_put_back_in_time_stays_in_the_run(make: Make) -> None:
    exporter = Exporter()
    one, other = make(emit=exporter), make(emit=exporter)
    begun(one)
    ended(one, "failed")
    one.flush(2)
    other.note(run(), status="pending", urgent=True)
    ended(other)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.OUTCOME] == "completed"
    assert span.status.is_unset
    assert names.ERROR_TYPE not in attributes(span)


def test_a_failure_that_is_told_after_what_put_it_back(make: Make) -> None:
    """The worker's word of it comes later than the other process's that took it back."""
    exporter = Exporter()
    worker, api = make(emit=exporter), make(emit=exporter)
    begun(api)
    api.note(run(), enqueued="process_generation", urgent=True)
    failed_ns = time.time_ns()
    back_ns = failed_ns + 20_000_000
    api.note(run(), at_ns=back_ns, status="pending", urgent=True)
    again = Event(Kind.ENQUEUED, back_ns + 1)
    api.note(run(), at_ns=back_ns + 1, events=(again,), enqueued="process_generation", urgent=True)
    api.flush(2)
    worker.note(run(), at_ns=failed_ns, status="failed", urgent=True)
    worker.flush(2)
    time_out = time.monotonic() + 0.4  # longer than a failure settles here
    while time.monotonic() < time_out:
        assert not exporter.named(names.RUN)
        time.sleep(0.02)
    ended(worker)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.OUTCOME] == "completed"
    assert attributes(span)[names.REQUEUES] == 0
    assert attributes(span)[names.TIMES["finish"]] == pytest.approx(0.02, abs=1e-6)


def test_a_wait_hangs_under_the_enqueue_that_it_follows(make: Make) -> None:
    """Also where several steps are written together, as a busy process does."""
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    at_ns = time.time_ns()
    for place, enqueued_ns in ((0xE1, at_ns), (0xE2, at_ns + 2000)):
        events = (Event(Kind.ENQUEUED, enqueued_ns),)
        store.note(run(), events=events, anchor=f"{place:016x}")
        store.note(run(), events=(Event(Kind.JOB_STARTED, enqueued_ns + 1000),))
    store.flush(2)
    ended(store)
    waits = eventually(lambda: len(found := exporter.named(names.QUEUE_WAIT)) == 2 and found)
    assert [span.parent.span_id for span in waits if span.parent] == [0xE1, 0xE2]


def test_a_status_that_is_told_after_the_end_begins_nothing(make: Make) -> None:
    exporter = Exporter()
    store, other = make(emit=exporter), make(emit=exporter)
    begun(store)
    before_ns = time.time_ns()
    ended(store)
    eventually(lambda: exporter.named(names.RUN))
    other.note(run(), at_ns=before_ns, status="processing", urgent=True)
    other.flush(2)
    ended(other)
    other.flush(2)
    assert len(exporter.named(names.RUN)) == 1


def test_a_completion_that_overtakes_a_cancel_is_the_outcome(make: Make) -> None:
    exporter = Exporter()
    one, other = make(emit=exporter), make(emit=exporter)
    begun(one)
    ended(one, "cancelled")
    one.flush(2)
    ended(other, "completed")
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(span)[names.OUTCOME] == "completed"


def test_what_goes_on_after_the_end_is_a_run_of_its_own(make: Make) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    ended(store, "failed")
    (first,) = eventually(lambda: exporter.named(names.RUN))
    again = run(trace_id=0xDEF)
    again.number = 2
    store.note(again, status="pending", urgent=True, root="00000000000000bb")
    store.note(again, status="completed", urgent=True)
    _, second = eventually(lambda: len(found := exporter.named(names.RUN)) == 2 and found)
    assert attributes(second)[names.GENERATION_RUN] == 2
    assert second.context is not None
    assert first.context is not None
    assert second.context.trace_id == 0xDEF
    (link,) = second.links
    assert link.context.trace_id == 0xABC
    assert link.context.span_id == first.context.span_id
    assert dict(link.attributes or {}) == {names.LINK: names.LINK_PREVIOUS}


def test_an_id_that_is_given_again_is_another_generation(make: Make) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    begun(store)
    ended(store)
    eventually(lambda: exporter.named(names.RUN))
    begun(store, trace_id=0xDEF)
    store.note(run(trace_id=0xDEF), status="completed", urgent=True)
    _, second = eventually(lambda: len(found := exporter.named(names.RUN)) == 2 and found)
    assert attributes(second)[names.GENERATION_RUN] == 1
    assert second.links == ()


def test_only_what_the_exporter_took_is_written(
    make: Make, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "AGAIN_S", 0.1)
    exporter = Exporter(takes=False)
    store = make(emit=exporter)
    begun(store)
    ended(store)
    time.sleep(0.3)
    exporter.takes = True
    eventually(lambda: exporter.named(names.RUN))
    with redis.Redis(port=redis_server.port) as client:
        eventually(lambda: not client.zcard("gentrace:t:due"))
    assert len(exporter.named(names.RUN)) == 1


def test_a_lease_that_ran_out_is_taken_by_another(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first process claims the run and is gone before it exported its span."""
    monkeypatch.setattr(settle, "LEASE_S", 0.3)
    gone, other = Exporter(), Exporter()
    taken: list[ReadableSpan] = []

    def never(span: ReadableSpan, done: Callable[[bool], None] | None = None) -> None:
        taken.append(span)

    one = make()
    settle.Settler(one, never)
    begun(one)
    ended(one)
    eventually(lambda: taken)
    one.stop(2)
    two = make(emit=other)
    two.thread.start()
    (span,) = eventually(lambda: other.named(names.RUN))
    assert span.context == next(s for s in taken if s.name == names.RUN).context
    assert gone.spans == []


def test_an_unsampled_run_has_no_span(make: Make, redis_server: RedisServer) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    one = run(flags=0)
    store.note(one, events=(Event(Kind.RECEIVED, time.time_ns()),), urgent=True)
    store.note(one, status="completed", urgent=True)
    store.flush(2)
    with redis.Redis(port=redis_server.port) as client:
        eventually(lambda: client.exists("gentrace:t:past:7"))
    assert exporter.spans == []


def test_what_a_process_that_died_had_open_is_written_in_its_place(
    make: Make, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead, "DEAD_AFTER_S", 0.2)
    monkeypatch.setattr(dead, "AWAY_S", 0.0)
    exporter = Exporter()
    gone, other = make(), make(emit=exporter)
    begun(gone)
    started_ns = time.time_ns()
    gone.note(
        run(),
        events=(Event(Kind.JOB_STARTED, started_ns),),
        opened=(
            OpenSpan(
                "00000000000000cc",
                names.PROCESS_GENERATION,
                "00000000000000aa",
                started_ns,
                4,
                "process-0",
            ),
        ),
        urgent=True,
    )
    gone.flush(2)
    last_s = time.time()
    with redis.Redis(port=redis_server.port) as client:
        client.zadd("gentrace:t:processes", {"process-0": last_s})
        time.sleep(0.25)
        other.thread.start()
        (span,) = eventually(lambda: exporter.named(names.PROCESS_GENERATION))
        eventually(lambda: not client.zcard("gentrace:t:processes"))
        assert client.zscore("gentrace:t:deaths", "process-0") == pytest.approx(last_s)
    assert span.context is not None
    assert f"{span.context.span_id:016x}" == "00000000000000cc"
    assert attributes(span)[names.ERROR_TYPE] == "worker_died"
    assert span.end_time == pytest.approx(last_s * 1e9, abs=1e6)
    ended(other, "failed")
    (whole,) = eventually(lambda: exporter.named(names.RUN))
    assert attributes(whole)[names.INCOMPLETE] == ["worker_died"]
    assert float(attributes(whole)[names.TIMES["worker"]]) > 0


def test_the_first_waits_of_a_long_story_have_spans_and_all_are_counted(make: Make) -> None:
    exporter = Exporter()
    store = make(emit=exporter)
    at_ns = time.time_ns()
    store.note(run(), at_ns=at_ns, events=(Event(Kind.RECEIVED, at_ns),), urgent=True)
    for _ in range(100):
        for kind in (Kind.ENQUEUED, Kind.JOB_STARTED):
            at_ns += 1_000_000
            store.note(run(), at_ns=at_ns, events=(Event(kind, at_ns),), urgent=True)
        store.flush(2)
    store.note(run(), at_ns=at_ns + 1_000_000, status="completed", urgent=True)
    (span,) = eventually(lambda: exporter.named(names.RUN))
    assert len(exporter.named(names.QUEUE_WAIT)) == 3
    assert attributes(span)[names.TIMES["queue"]] == pytest.approx(0.1)
    assert attributes(span)[names.TIMES["worker"]] == pytest.approx(0.1)
