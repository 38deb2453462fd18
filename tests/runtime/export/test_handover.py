"""A host with an SDK provider of its own gets our spans; none of them stays open in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gentrace.core import names
from gentrace.core.scrub import Scrubber
from gentrace.core.settings import HOST
from gentrace.runtime.context import Run
from gentrace.runtime.export import place, quiet
from gentrace.runtime.export.handover import Handover
from gentrace.runtime.export.provider import own_provider
from gentrace.runtime.open_spans import OpenSpans
from gentrace.runtime.store.find import read
from tests.support.host import SmallHost, until


@pytest.fixture
def exported(host: SmallHost, monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What a provider of the host's own exports, of the running small host."""
    exporter = InMemorySpanExporter()
    own = TracerProvider(shutdown_on_exit=False)
    own.add_span_processor(SimpleSpanProcessor(exporter))
    pipeline = host.session.pipeline
    monkeypatch.setattr(pipeline, "settings", replace(pipeline.settings, provider=HOST))
    monkeypatch.setattr(place, "of_host", lambda: own)
    return exporter


async def test_nothing_stays_open(host: SmallHost, exported: InMemorySpanExporter) -> None:
    """Those that waited for the id are ended by others than ourselves."""
    assert (await host.create()).status_code == 201
    await host.work()

    def written() -> bool:
        return any(span.name == names.RUN for span in exported.get_finished_spans())

    for _ in range(20):
        if written():
            break
        await host.work()
    await until(written)
    engine = host.session.engine

    def left_open() -> bool:
        engine.store.flush(5)
        stored = read(host.redis, engine.store.key, "1", engine.store.rules).folded.current
        assert stored is not None
        return bool(stored.open or host.session.upkeep.open._open)

    await until(lambda: not left_open())
    found = {span.name for span in exported.get_finished_spans()}
    assert {names.HASH, names.CREATE_GENERATION} <= found


def test_a_span_that_others_end_is_done_with_when_the_host_has_it() -> None:
    """As the request's SERVER span, which its instrumentation ends."""
    notes: list[tuple[str, ...]] = []
    spans = OpenSpans(lambda _run, _opened, closed: notes.append(closed), lambda: "me")
    own = TracerProvider(shutdown_on_exit=False)
    beside = own_provider(Handover(own, Scrubber(lambda: b"key"), spans.left))
    span: Any = beside.get_tracer("a library").start_span("POST /")
    spans.began(span, Run("7"))
    spans.note(span)
    span.end()
    assert notes == [(), (f"{span.context.span_id:016x}",)]
    assert not spans._open
    quiet.undo()


def test_what_the_hosts_processors_refuse_is_not_taken(swallowed: list[Any]) -> None:
    class Raising(SimpleSpanProcessor):
        def on_end(self, span: Any) -> None:
            raise OSError("no")

    own = TracerProvider(shutdown_on_exit=False)
    own.add_span_processor(Raising(InMemorySpanExporter()))
    left: list[Any] = []
    handover = Handover(own, Scrubber(lambda: b"key"), left.append)
    span = own.get_tracer("t").start_span("one")
    assert not handover.hand(span)
    assert left == []
    assert [where for where, _ in swallowed] == ["handover"]


def test_left_is_for_any_span() -> None:
    """Also for one that nobody has noted."""
    spans = OpenSpans(lambda *_: None, lambda: "me")
    spans.left([TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span("of nobody")])
