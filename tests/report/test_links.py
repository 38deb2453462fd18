"""Addresses in Jaeger's page, and what its searches leave out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gentrace.analysis.filters import Filter
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.core.errors import SourceError
from gentrace.core.spans import traces as grouped
from gentrace.report.links import Links, links
from gentrace.sources.jaeger import Jaeger
from gentrace.sources.otlp_files import OtlpFiles
from tests.core import traces
from tests.core.traces import START, Tracer

MINUTE = 60 * 10**9
PAGE = Links("http://j/base")


def with_run(made: Tracer, service: str = "worker", **attributes: Any) -> Tracer:
    made.span("generation", 0, 8_000, service=service, **attributes)
    return made


def found(*made: Tracer) -> list[Run]:
    return runs(grouped(span for one in made for span in one.spans))


def asked(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    assert parts.path == "/base/search"
    return dict(parse_qsl(parts.query, strict_parsing=True))


def failed(seed: str, at: int = START, service: str = "worker") -> Tracer:
    made = traces.failed(seed, seed, at)
    return with_run(
        made, service, generation__outcome="failed", generation__provider="pixverse",
        generation__error__code="content_prompt_rejected",
    )  # fmt: skip


def test_the_page_of_a_trace() -> None:
    assert PAGE.trace("ab" * 16) == "http://j/base/trace/" + "ab" * 16


def test_a_search_is_written_as_the_pages_form_writes_it() -> None:
    one, two = failed("1"), failed("2", START + MINUTE)
    (url,) = PAGE.of_listing(
        found(one, two), Filter(outcomes=["failed"], provider="pixverse", error="content*")
    ).urls
    assert asked(url) == {
        "service": "pixsim7-worker",
        "operation": "generation",
        "tags": json.dumps(
            {"generation.provider": "pixverse", "generation.outcome": "failed",
             "generation.error.code": "content_prompt_rejected"},
            separators=(",", ":"),
        ),
        "start": str(START // 1_000),
        "end": str((START + MINUTE + 9_000 * traces.MS) // 1_000),
        "lookback": "custom",
        "limit": "20",
    }  # fmt: skip
    assert " " not in url


def test_as_many_services_as_wrote_the_runs() -> None:
    made = [failed("1"), failed("2"), failed("3", service="api")]
    searches = PAGE.of_listing(found(*made), Filter(outcomes=["failed"]))
    assert [asked(url)["service"] for url in searches.urls] == ["pixsim7-worker", "pixsim7-api"]
    assert searches.left_out == 0


def test_what_was_written_before_the_runs_were_a_service_is_found_beside_the_newer() -> None:
    made = [failed("1"), failed("2", service="runs"), failed("3", service="runs")]
    searches = PAGE.of_listing(found(*made), Filter(outcomes=["failed"]))
    assert [asked(url)["service"] for url in searches.urls] == ["pixsim7-runs", "pixsim7-worker"]
    assert searches.left_out == 0


def test_runs_that_no_search_shows_are_counted() -> None:
    made = [failed("1"), traces.failed("2", "2")]
    searches = PAGE.of_listing(found(*made), Filter(outcomes=["failed"], provider="pixverse"))
    assert searches.left_out == 1
    assert PAGE.of_listing([], Filter(outcomes=["failed"])).urls == []


def test_conditions_that_no_tag_can_say() -> None:
    made = [failed("1"), traces.unfinished(), traces.refused()]
    for wanted in (Filter(), Filter(outcomes=["failed", "unfinished"])):
        searches = PAGE.of_listing(found(*made), wanted)
        assert searches.left_out == 0
        for url in searches.urls:
            assert not asked(url).keys() & {"tags", "operation"}


def test_the_runs_of_one_generation() -> None:
    first = traces.failed("1", "29", START)
    again = traces.completed("2", "29", START + MINUTE)
    (url,) = PAGE.of_generation(found(first, again)).urls
    query = asked(url)
    assert query["tags"] == '{"generation.id":"29"}'
    assert int(query["start"]) == START // 1_000
    assert int(query["end"]) > (START + MINUTE) // 1_000


def test_many_runs_need_a_limit_and_a_name_may_hold_anything() -> None:
    run = found(failed("1"))[0]
    made = [replace(run, number=n) for n in range(3_000)]
    (url,) = PAGE.of_listing(made, Filter(where=[("generation.provider", "pixverse")])).urls
    assert asked(url)["limit"] == "1500"
    odd = PAGE.search("a&b c/ü", 1_000, 2_001, tags={"x": 'say "ä"&=#'})
    assert asked(odd)["service"] == "a&b c/ü"
    assert json.loads(asked(odd)["tags"]) == {"x": 'say "ä"&=#'}
    assert (asked(odd)["start"], asked(odd)["end"]) == ("1", "3")


def test_where_links_lead(tmp_path: Path) -> None:
    files = OtlpFiles(tmp_path)
    jaeger = Jaeger("http://me:secret@j:1/base")
    assert links(files, {}) is None
    for source in (files, jaeger):
        public = links(source, {"GENTRACE_JAEGER_URL": "https://p/x/search?a=b"})
        assert public
        assert public.trace("1") == "https://p/x/trace/1"
        with pytest.raises(SourceError, match="GENTRACE_JAEGER_URL"):
            links(source, {"GENTRACE_JAEGER_URL": "somewhere"})
    own = links(jaeger, {})
    assert own
    assert own.base == "http://j:1/base"
    jaeger.close()


def test_conditions_are_searched_for_by_the_attributes_own_names() -> None:
    one = with_run(traces.completed(), generation__account__id="1")
    (url,) = PAGE.of_listing(found(one), Filter(where=[("account", "1")])).urls
    assert json.loads(asked(url)["tags"]) == {"generation.account.id": "1"}
    (url,) = PAGE.of_listing(found(traces.refused()), Filter(outcomes=["refused"])).urls
    assert "tags" not in asked(url)
    id_ = "b679a443-a815-4b93-b756-447d20f36e67"
    (url,) = PAGE.of_listing(found(traces.completed("1", id_)), Filter(ids=["b679"])).urls
    assert json.loads(asked(url)["tags"]) == {"generation.id": id_}
