"""A real Jaeger as a source: the same spans come back, whole, however many there are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gentrace.core.spans import Link, Span
from gentrace.core.spans import traces as grouped
from gentrace.sources import Window, open_source
from gentrace.sources.jaeger import Jaeger
from gentrace.sources.jaeger.api import Api
from tests.core import traces
from tests.core.traces import MS, Tracer
from tests.support import jaegers
from tests.support.waiting import PATIENCE_S
from tools.servers import JaegerServer

NOW = time.time_ns() // 10**9 * 10**9
MINUTE = 60 * 10**9


def made_for(service: str, *tracers: Tracer) -> list[Span]:
    """The spans, under services of one test's own."""
    found: list[Span] = []
    resources: dict[str, dict[str, Any]] = {}
    for span in (span for made in tracers for span in made.spans):
        name = span.service.replace("pixsim7", service)
        resource = resources.setdefault(name, {**span.resource, "service.name": name})
        found.append(replace(span, service=name, resource=resource))
    return found


def stored(jaeger: JaegerServer, spans: Sequence[Span]) -> Sequence[Span]:
    jaegers.export(jaeger.otlp_http, *spans)
    jaegers.wait_for(jaeger.url, spans)
    return spans


def without_link_attributes(span: Span) -> Span:
    """As Jaeger 1 keeps it."""
    return replace(span, links=tuple(replace(link, attributes={}) for link in span.links))


def test_spans_come_back_as_they_were_sent(jaeger_server: JaegerServer) -> None:
    start = NOW - MINUTE + 123_456_789
    odd = Tracer("odd", "one/2", start)
    parent = odd.span("create_generation", 0, 3.000_001, service="api", text="ä✓", none="")
    odd.span(
        "generation", 0, 0, parent,
        generation__tries=2, generation__time__api_s=0.25, flag=True, big=2**62,
        gentrace__processes=["a", "b"], gentrace__incomplete=[],
        events=[("x", 1.000_003, {"n": 1}), ("exception", 2, {"exception.type": "E"})],
    )  # fmt: skip
    sent = made_for("back", odd, traces.failed("f", "one/3", start), traces.returned("r", start))
    told = Tracer("told", "one/4", start)
    links = [Link(odd.trace_id, "1" * 16, {"gentrace.link": "chain"}), Link(odd.trace_id, "2" * 16)]
    told.span("create_generation", 0, 1, links=links, gentrace__links=["chain", ""])
    linked = made_for("back", told)
    stored(jaeger_server, [*sent, *linked])
    with jaegers.reading(jaeger_server.url, only="back") as source:
        assert [t.spans for t in source.by_generation("one/4").traces] == [tuple(linked)]
        found = source.traces(Window(start - MINUTE)).traces
        assert [t.trace_id for t in found] == sorted({s.trace_id for s in [*sent, *linked]})
        back = {span.span_id: span for trace in found for span in trace.spans}
        for span in sent:
            assert without_link_attributes(back[span.span_id]) == without_link_attributes(span)
        (one,) = source.by_generation("one/2").traces
        assert {s.span_id for s in one.spans} == {s.span_id for s in odd.spans}
        assert source.trace(odd.trace_id.upper()) == [one]
        assert [t.trace_id for t in source.trace(odd.trace_id[:9])] == [odd.trace_id]
        assert source.trace("0" * 31 + "1") == []
        assert source.by_attribute("generation.found.id", "28").traces != []
        assert source.by_attribute("exception.type", "E").traces == []


def test_api_v1_alone_gives_the_same_but_for_nanoseconds(
    jaeger_server: JaegerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = made_for("onlyone", traces.failed("v1", "v1/1", NOW - MINUTE))
    stored(jaeger_server, sent)
    monkeypatch.setattr(Api, "has_v3", False)
    with jaegers.reading(jaeger_server.url, only="onlyone") as source:
        for found in (source.traces(), source.by_generation("v1/1")):
            (trace,) = found.traces
            assert trace.spans == next(grouped(sent)).spans
        assert source.trace(sent[0].trace_id) == list(found.traces)
        assert source.trace("f" * 32) == []


def test_spans_that_came_twice_count_once_and_that_is_said(jaeger_server: JaegerServer) -> None:
    sent = made_for("twice", traces.failed("tw", "twice/1", NOW - MINUTE))
    stored(jaeger_server, stored(jaeger_server, sent))
    end = time.monotonic() + PATIENCE_S
    while True:
        with jaegers.reading(jaeger_server.url, only="twice") as source:
            (trace,) = source.by_generation("twice/1").traces
            assert trace.spans == next(grouped(sent)).spans
            if trace.repeated == len(sent):
                assert any(f"{len(sent)} spans came twice" in note for note in source.notes)
                return
        assert time.monotonic() < end
        time.sleep(0.1)


def test_whether_anything_came_later(jaeger_server: JaegerServer) -> None:
    sent = made_for("later", traces.failed("la", "later/1", NOW - MINUTE))
    stored(jaeger_server, sent)
    with jaegers.reading(jaeger_server.url, only="later") as source:
        last_ns = max(span.start_ns for span in sent)
        assert source.goes_on(last_ns - MS)
        assert not source.goes_on(last_ns + MS)


def test_services_of_any_name_are_found(jaeger_server: JaegerServer) -> None:
    one, two = traces.completed("n1", "name/1", NOW), traces.completed("n2", "name/1", NOW + MINUTE)
    sent = [*made_for("anything", one), *made_for("elsewhere", two)]
    stored(jaeger_server, sent)
    with jaegers.reading(jaeger_server.url) as source:
        assert {"anything-api", "anything-worker", "elsewhere-api"} <= set(source.services)
        assert [t.trace_id for t in source.by_generation("name/1").traces] == [
            one.trace_id, two.trace_id,
        ]  # fmt: skip


def test_more_than_one_search_gives_is_read_in_slices(jaeger_server: JaegerServer) -> None:
    """Some in a crowd, two at the same moment, one long before all others."""
    starts = [NOW - 4 * MINUTE + n * 300 * MS for n in range(40)]
    starts += [NOW - 2 * MINUTE, NOW - 2 * MINUTE, NOW - 6 * 3_600 * 10**9]
    sent = made_for(
        "many", *(traces.failed(f"m{n}", f"many/{n}", at) for n, at in enumerate(starts))
    )
    stored(jaeger_server, sent)
    ids = {span.trace_id for span in sent}
    with jaegers.reading(jaeger_server.url, only="many", a_search=15) as source:
        found = source.traces()
        assert {t.trace_id for t in found.traces} == ids
        assert [t.start_ns for t in found.traces] == sorted(starts)
        assert not found.truncated
        every = source.by_attribute("generation.provider", "pixverse")
        assert {t.trace_id for t in every.traces} == ids
        assert len(source.traces(Window(NOW - 3 * MINUTE)).traces) == 2


def test_what_is_too_much_is_left_and_said(jaeger_server: JaegerServer) -> None:
    many = [traces.failed(f"t{n}", f"too/{n}", NOW - n * MINUTE) for n in range(30)]
    stored(jaeger_server, made_for("too", *many))
    with jaegers.reading(jaeger_server.url, only="too", a_search=5, most=10) as source:
        found = source.traces()
        assert found.truncated
        assert {many[0].trace_id, many[1].trace_id} <= {t.trace_id for t in found.traces}
        assert any("the newest" in note for note in source.notes)
    same = [traces.refused(f"s{n}", NOW - MINUTE) for n in range(9)]
    stored(jaeger_server, made_for("same", *same))
    with jaegers.reading(jaeger_server.url, only="same", a_search=4) as source:
        assert source.traces().truncated, "nine at one moment, four a search"


def test_a_trace_of_fifty_thousand_spans_is_read_whole(jaeger_server: JaegerServer) -> None:
    big = Tracer("big", "big/1", NOW - 5 * MINUTE)
    root = big.span("create_generation", 0, 60_000, service="api")
    for number in range(49_999):
        big.span("SELECT pixsim7", number, number + 0.5, root, kind="CLIENT", service="api")
    sent = made_for("big", big)
    for at in range(0, len(sent), 5_000):
        jaegers.export(jaeger_server.otlp_http, *sent[at : at + 5_000])
    jaegers.wait_for(jaeger_server.url, sent)
    with jaegers.reading(jaeger_server.url, only="big") as source:
        (trace,) = source.by_generation("big/1").traces
        assert {span.span_id for span in trace.spans} == {span.span_id for span in sent}
        assert list(trace.spans) == list(next(grouped(sent)).spans)


def test_how_far_back_is_said(jaeger_server: JaegerServer) -> None:
    with jaegers.reading(jaeger_server.url, only="nobody-of-that-name") as source:
        source.traces(Window(NOW - MINUTE))
        assert source.notes == []
        source.traces()
        assert "7 days back" in source.notes[0]
        assert "30 days" in source.looked_at


def test_the_environment_names_it(jaeger_server: JaegerServer) -> None:
    source = open_source("", {"GENTRACE_SOURCE": jaeger_server.url + "/search"})
    assert isinstance(source, Jaeger)
    assert source.url == jaeger_server.url
    source.is_empty()
    source.close()
