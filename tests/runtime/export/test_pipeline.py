"""Ended spans leave in batches, off the host's threads; none is lost without being counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from gentrace.runtime.export import outlet
from gentrace.runtime.export import pipeline as module
from tests.runtime.conftest import Swallowed
from tests.runtime.export.conftest import Kit
from tests.runtime.export.test_spool import lines
from tests.support.lasting import lasting
from tests.support.waiting import eventually


def test_spans_leave_by_themselves(kit: Callable[..., Kit]) -> None:
    one = kit()
    one.end("a", "b")
    eventually(lambda: len(one.exporter.spans) == 2)
    assert one.exporter.services == {"pixsim7-worker"}
    assert one.pipeline.lost == 0
    one.end("c")
    eventually(lambda: one.exporter.spans == ["a", "b", "c"])


def test_spans_are_held_until_the_role_is_known(kit: Callable[..., Kit]) -> None:
    one = kit(role="")
    one.end("early")
    time.sleep(0.1)
    assert one.exporter.spans == []
    one.process.become("api")
    eventually(lambda: one.exporter.spans == ["early"])
    assert one.exporter.services == {"pixsim7-api"}


def test_a_flush_of_nothing_does_not_end_the_holding(kit: Callable[..., Kit]) -> None:
    one = kit(role="")
    one.end("a")
    assert one.pipeline.force_flush(60_000)
    assert one.exporter.spans == ["a"]  # a flush is a flush
    assert one.pipeline.force_flush(60_000)
    one.end("early")
    time.sleep(0.1)
    assert one.exporter.spans == ["a"]


def test_a_process_that_ends_without_a_role_writes_what_it_held(kit: Callable[..., Kit]) -> None:
    one = kit(role="")
    one.end("early")
    one.pipeline.shutdown()
    assert one.exporter.spans == ["early"]
    assert one.exporter.services == {"pixsim7"}


def test_batches_are_bounded(kit: Callable[..., Kit]) -> None:
    one = kit(max_batch=10, schedule_delay_ms=60_000)
    one.end(*(f"{n}" for n in range(25)))
    assert one.pipeline.force_flush(60_000)
    assert sum(one.exporter.batches) == 25
    assert max(one.exporter.batches) <= 10


def test_an_unsampled_span_stays(kit: Callable[..., Kit]) -> None:
    one = kit()
    one.provider.sampler = ALWAYS_OFF
    one.end("unsampled")
    one.pipeline.force_flush(60_000)
    assert one.exporter.spans == []
    assert one.pipeline.lost == 0


def test_a_full_queue_drops_counts_and_says_so_once(
    kit: Callable[..., Kit], capsys: pytest.CaptureFixture[str]
) -> None:
    one = kit(max_queue=5)
    one.exporter.may_go.clear()
    one.end("in flight")
    assert one.exporter.asked.wait(60)
    one.end(*(f"{n}" for n in range(9)))
    assert one.pipeline.lost == 4
    one.exporter.may_go.set()
    assert one.pipeline.force_flush(60_000)
    assert one.exporter.spans == ["in flight", "0", "1", "2", "3", "4"]
    assert capsys.readouterr().err.count("spans are dropped") == 1


@pytest.mark.parametrize("answer", [SpanExportResult.FAILURE, ConnectionError("bob@example.com")])
def test_what_the_endpoint_does_not_take_goes_to_the_spool(
    kit: Callable[..., Kit], answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one = kit()
    one.exporter.answer = answer
    for name in ("a", "b"):
        one.end(name)
        assert one.pipeline.force_flush(60_000)
    assert one.spooled() == ["a", "b"]
    assert one.pipeline.lost == 0
    said = capsys.readouterr().err
    assert said.count("could not be sent to http://collector") == 1
    assert "bob" not in said
    one.exporter.answer = SpanExportResult.SUCCESS
    one.end("c")
    assert one.pipeline.force_flush(60_000)
    assert one.exporter.spans == ["c"]


def test_an_endpoint_that_fails_slowly_is_left_alone_for_a_while(kit: Callable[..., Kit]) -> None:
    one = kit()
    one.exporter.may_go.clear()
    one.exporter.answer = SpanExportResult.FAILURE
    one.end("first")
    assert one.exporter.asked.wait(60)
    time.sleep(0.3)
    one.exporter.may_go.set()
    eventually(lambda: one.spooled() == ["first"])
    one.exporter.asked.clear()
    one.end("second")
    assert one.pipeline.force_flush(60_000)
    assert not one.exporter.asked.is_set()  # it would have waited as long again
    assert one.spooled() == ["first", "second"]
    one.exporter.answer = SpanExportResult.SUCCESS

    def taken() -> bool:
        one.end("later")
        assert one.pipeline.force_flush(60_000)
        return "later" in one.exporter.spans

    eventually(taken)
    assert one.pipeline.lost == 0


def test_an_exporter_that_cannot_be_made_is_said_once_and_not_tried_again(
    kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, tries = kit(), list[Any]()

    def make(given: Any) -> Any:
        tries.append(given)
        raise ValueError("http://bob:builder@host")

    monkeypatch.setattr(one.pipeline.outlet, "_make", make)
    for name in ("a", "b"):
        one.end(name)
        assert one.pipeline.force_flush(60_000)
    assert one.spooled() == ["a", "b"]
    assert (len(tries), one.pipeline.lost) == (1, 0)
    said = capsys.readouterr().err
    assert said.count("its exporter cannot be made: ValueError") == 1
    assert "builder" not in said


def test_what_the_endpoint_rejects_is_lost_and_said_once(
    kit: Callable[..., Kit], capsys: pytest.CaptureFixture[str]
) -> None:
    one = kit()
    one.exporter.rejected = 2
    for _ in range(2):
        one.end("a", "b", "c")
        assert one.pipeline.force_flush(60_000)
    assert one.pipeline.lost == 4
    assert one.spooled() == []
    assert capsys.readouterr().err.count("rejected 2 of the spans") == 1


def test_an_endpoint_that_hangs_costs_the_exit_its_deadline_and_no_span(
    kit: Callable[..., Kit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EXIT_DEADLINE_S", 1.0)
    one = kit()
    one.exporter.may_go.clear()
    one.end("in flight")
    assert one.exporter.asked.wait(60)
    one.end("queued")
    with lasting() as took:
        one.pipeline.shutdown()
    assert took[0] < 4
    assert sorted({*one.spooled(), *one.exporter.spans}) == ["in flight", "queued"]
    assert one.pipeline.lost == 0


def test_without_an_endpoint_everything_goes_to_the_spool(kit: Callable[..., Kit]) -> None:
    one = kit(endpoint="")
    one.pipeline.exporter = None
    one.end("a")
    eventually(lambda: one.spooled() == ["a"])
    assert not one.exporter.asked.is_set()


def test_a_spool_that_cannot_be_written_is_counted_and_said_once(
    kit: Callable[..., Kit], capsys: pytest.CaptureFixture[str]
) -> None:
    one = kit(endpoint="")
    (one.folder / "spool").write_text("this is no folder")
    for name in ("a", "b"):
        one.end(name)
        assert one.pipeline.force_flush(60_000)
    assert one.pipeline.lost == 2
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_a_fault_of_ours_is_swallowed_and_the_next_batch_goes(
    kit: Callable[..., Kit], swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = kit()

    def broken(*_given: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(outlet, "clean", broken)
        one.end("a")
        assert one.pipeline.force_flush(60_000)
    assert [(where, type(exc)) for where, exc in swallowed] == [("export", ZeroDivisionError)]
    assert one.pipeline.lost == 1
    one.end("b")
    assert one.pipeline.force_flush(60_000)
    assert one.exporter.spans == ["b"]


def test_a_process_record_is_written_off_the_hosts_thread(kit: Callable[..., Kit]) -> None:
    one = kit()
    one.pipeline.write_record({"instance": "first"})
    eventually(lambda: lines(one.folder, "processes"))
    assert lines(one.folder, "processes") == [{"gentraceProcess": {"instance": "first"}}]


def test_a_record_that_is_written_last_is_not_lost(kit: Callable[..., Kit]) -> None:
    one = kit()
    one.pipeline.write_record({"instance": "first", "alive": False})
    one.pipeline.shutdown()
    assert lines(one.folder, "processes")[-1]["gentraceProcess"]["alive"] is False


def test_a_forked_child_starts_with_nothing(kit: Callable[..., Kit]) -> None:
    one = kit(role="")
    one.pipeline._queue.append(object())  # the parent's; its thread is not in the child
    one.pipeline.outlet.count_lost(3)
    parents = one.pipeline.outlet.spool
    one.pipeline.after_fork("second")
    one.process.become("worker")
    one.end("the child's")
    assert one.pipeline.force_flush(60_000)
    assert one.exporter.spans == ["the child's"]
    assert one.pipeline.lost == 0
    assert one.pipeline.outlet.spool is not parents


def test_ending_a_span_never_waits_for_the_exporter(kit: Callable[..., Kit]) -> None:
    one = kit()
    one.exporter.may_go.clear()
    one.end("in flight")
    assert one.exporter.asked.wait(60)
    with lasting() as took:
        one.end(*(f"{n}" for n in range(100)))
    assert took[0] < 1
