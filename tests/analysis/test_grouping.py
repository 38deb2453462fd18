"""Which spans are a run, what it says of itself, and which runs a filter lets pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gentrace.analysis import filters, generations
from gentrace.analysis.filters import Filter
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.core.errors import NotFoundError, UsageError
from gentrace.core.spans import Link
from gentrace.core.spans import traces as grouped
from gentrace.sources.base import Window
from gentrace.sources.otlp_files import OtlpFiles
from tests.core import traces
from tests.core.traces import START, Tracer

ROUTES = ("/api/v1/generations",)
MINUTE = 60 * 10**9


@pytest.fixture
def source(tmp_path: Path) -> OtlpFiles:
    made = [traces.completed(), traces.failed(), traces.unfinished(), traces.refused()]
    for number, tracer in enumerate([*made, traces.returned()]):
        traces.write(tmp_path / f"spans-{number}.jsonl", tracer)
    return OtlpFiles(tmp_path)


def of(*tracers: Tracer) -> list[Run]:
    return runs(grouped([span for t in tracers for span in t.spans]), ROUTES)


def test_what_a_run_says() -> None:
    (run,) = of(traces.completed())
    assert (run.id, run.number, run.outcome) == ("28", 1, "completed")
    assert (run.operation, run.provider, run.model) == ("text_to_video", "pixverse", "v5")
    assert (run.account, run.user, run.stage) == ("1", "3", "finished")
    assert (run.error_code, run.error_type, run.failure) == (None, None, None)


def test_what_a_failure_says() -> None:
    (run,) = of(traces.failed())
    assert run.failure is not None
    assert run.failure.name == "pixverse._generate_image_to_video"
    assert run.error_code == "content_prompt_rejected"
    assert run.error_type == "pixsim7.shared.errors.ContentFilteredError"
    assert run.error_message == "code 500063: prompt refused"


def test_requests_that_made_no_run() -> None:
    (refused,) = of(traces.refused())
    assert (refused.id, refused.outcome, refused.duration_ns, refused.http_status) == (
        None, None, None, 422,
    )  # fmt: skip
    (returned,) = of(traces.returned())
    assert (returned.id, returned.returned_id, returned.returned_status) == (
        None, "28", "completed",
    )  # fmt: skip


def test_other_requests_and_start_ups_are_no_generations() -> None:
    other = Tracer("other")
    other.span("GET /x", 0, 5, kind="SERVER", service="api", http__route="/x", error="500")
    startup = Tracer("startup")
    startup.span("gentrace.startup", 0, 5)
    assert of(other, startup) == []


def test_what_was_done_for_a_run_later_is_no_run() -> None:
    late = Tracer("late", "28", START + 3_600 * 10**9)
    link = Link(traces.trace_id("28"), "1" * 16, {"gentrace.link": "previous_run"})
    late.span("provider.poll", 0, 5, links=[link])
    assert [run.trace_id for run in of(traces.completed(), late)] == [traces.trace_id("28")]
    assert of(late) == []


def test_a_second_run_has_its_number() -> None:
    again = traces.failed("again", "28", START + MINUTE)
    told = dict(again.spans[1].attributes)
    del told["generation.run"]
    again.spans[1] = replace(again.spans[1], attributes=told)
    assert [(r.number, r.outcome) for r in of(again, traces.completed())] == [
        (1, "completed"),
        (2, "failed"),
    ]


def test_two_generations_in_one_trace_are_two_runs() -> None:
    t = Tracer("two")
    root = t.span("chain", 0, 90)
    for id_, at in (("1", 10), ("2", 50)):
        create = t.span("create_generation", at, at + 5, root, generation__id=id_)
        t.span("POST", at + 1, at + 2, create, kind="CLIENT", db__system="postgresql")
    found = of(t)
    assert [(run.id, len(run.parts.spans)) for run in found] == [("1", 3), ("2", 2)]


def test_stages_as_a_run_goes_on() -> None:
    whole = traces.completed()
    seen: list[str] = []
    part = Tracer("28", "28")
    for span in sorted(whole.spans, key=lambda s: s.end_ns):
        part.spans.append(span)
        found = [run for run in of(part) if run.id]
        if found and found[0].stage not in seen[-1:]:
            seen.append(str(found[0].stage))
    assert seen[0] == "created"
    assert seen[-1] == "finished"
    assert set(seen) >= {"queued", "account", "submitted"}


def test_an_account_that_a_creation_asks_for_is_no_stage() -> None:
    t = Tracer("7", "7")
    create = t.span("create_generation", 0, 9)
    t.span("account.select", 1, 2, create, generation__account__id="2")
    t.span("enqueue process_generation", 5, 6, create)
    (run,) = of(t)
    assert run.stage == "queued"


def test_a_refused_submission_is_one_and_what_comes_after_the_end_is_none() -> None:
    t = Tracer("7", "7")
    create = t.span("create_generation", 0, 9)
    enqueue = t.span("enqueue process_generation", 5, 6, create, kind="PRODUCER")
    t.span("generation.finish", 20, 30, create, generation__outcome="cancelled")
    job = t.span("process_generation", 40, 60, enqueue, kind="CONSUMER")
    t.span("account.select", 41, 42, job, generation__account__id="2")
    (run,) = of(t)
    assert (run.outcome, run.stage) == ("cancelled", "queued")
    t.spans[:] = [span for span in t.spans if span.name != "generation.finish"]
    (run,) = of(t)
    assert run.stage == "account"
    t.span("provider.execute", 45, 50, job, status="ERROR")
    (run,) = of(t)
    assert run.stage == "submitted"


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(), ["28", "29", "30", None, None]),
        (Filter(outcomes=["failed"]), ["29"]),
        (Filter(outcomes=["failed", "completed"]), ["28", "29"]),
        (Filter(outcomes=["unfinished"]), ["30"]),
        (Filter(provider="pixverse", model="v5"), ["28"]),
        (Filter(operation="text_to_video"), ["28", "30"]),
        (Filter(account="2"), ["29"]),
        (Filter(user="3"), ["28"]),
        (Filter(error="content_*"), ["29"]),
        (Filter(error="contentfilterederror"), ["29"]),
        (Filter(error="content"), []),
        (Filter(where=[("generation.dedup", "miss")]), ["28", "29"]),
        (Filter(where=[("generation.dedup", "miss"), ("generation.cache", "miss")]), ["28"]),
        (Filter(where=[("http.response.status_code", "422")]), [None]),
        (Filter(where=[("service.instance.id", "worker-1")]), ["28", "29", "30"]),
        (Filter(window=Window(START + 1)), []),
    ],
)
def test_filters(source: OtlpFiles, wanted: Filter, ids: list[str | None]) -> None:
    found = generations.listing(source, wanted, 0, ROUTES)
    assert sorted((run.id for run in found.runs), key=str) == sorted(ids, key=str)
    assert not found.truncated


def test_the_newest_come_first_and_a_limit_is_said(tmp_path: Path) -> None:
    for number in range(5):
        traces.write(
            tmp_path / "spans.jsonl",
            traces.completed(f"n{number}", str(number), START + number * MINUTE),
        )
    found = generations.listing(OtlpFiles(tmp_path), Filter(), 2, ROUTES)
    assert [run.id for run in found.runs] == ["4", "3"]
    assert (found.truncated, found.matching) == (True, 5)


NOW = int(datetime(2026, 6, 21, 12, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [("90s", 90), ("30m", 1_800), ("1.5h", 5_400), ("1d", 86_400), ("2 w", 1_209_600),
     ("2026-06-21T11:59:00Z", 60), ("2026-06-21T13:00:00+02:00", 3_600)],
)  # fmt: skip
def test_moments(text: str, ago_s: int) -> None:
    assert filters.moment_ns(text, NOW) == NOW - ago_s * 10**9


@pytest.mark.parametrize("text", ["soon", "10", "5y", "-3m", "2026-13-01"])
def test_moments_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        filters.moment_ns(text, NOW)


@pytest.mark.parametrize("text", ["a", "=b", " =b"])
def test_conditions_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError, match="--where"):
        filters.condition(text)


def test_a_condition_may_hold_an_equals_sign() -> None:
    assert filters.condition("a=b=c") == ("a", "b=c")


def test_finding(source: OtlpFiles) -> None:
    for asked in (
        "28",
        traces.trace_id("28"),
        traces.trace_id("28")[:8],
        "provider:4711",
        "job:gen:28",
    ):
        assert [run.id for run in generations.find(source, asked, ROUTES)] == ["28"]
    assert generations.find(source, "", ROUTES)[0].id == "29"
    (returned,) = generations.find(source, traces.trace_id("returned"), ROUTES)
    assert returned.returned_id == "28"


@pytest.mark.parametrize("asked", ["31", "provider:1", "job:x", "f" * 32, "f" * 10])
def test_what_is_not_there(source: OtlpFiles, asked: str) -> None:
    with pytest.raises(NotFoundError, match="5 traces looked at"):
        generations.find(source, asked, ROUTES)


UUID = "3f0c6a1e-9B2d-4c5e-8f70-123456789abc"
LOWER, PLAIN = UUID.lower(), UUID.replace("-", "")
SPELT = [
    UUID, LOWER, UUID.upper(), PLAIN, PLAIN.lower(), PLAIN.upper(), f"{{{LOWER}}}",
    f"urn:uuid:{LOWER}",
]  # fmt: skip


@pytest.mark.parametrize("asked", SPELT)
@pytest.mark.parametrize("id_", [LOWER, LOWER.upper(), PLAIN.lower(), PLAIN.upper()])
def test_a_uuid_is_found_in_whatever_spelling(tmp_path: Path, id_: str, asked: str) -> None:
    traces.write(tmp_path / "a.jsonl", traces.completed("u", id_), traces.failed())
    said: list[str] = []
    (found,) = generations.find(OtlpFiles(tmp_path), asked, ROUTES, said.append)
    assert (found.id, said) == (id_, [])


@pytest.mark.parametrize(
    "id_",
    ["x" * 32, "order-" + "7" * 60, "a" * 33, "0" * 64, "ab" * 500, "asset:13", "job:7", "trace:9",
     "é" * 40, "a b", "-"],
)  # fmt: skip
def test_an_id_may_be_of_any_length_and_kind(tmp_path: Path, id_: str) -> None:
    traces.write(tmp_path / "a.jsonl", traces.completed("u", id_), traces.failed())
    (found,) = generations.find(OtlpFiles(tmp_path), id_, ROUTES)
    assert found.id == id_


def test_a_trace_id_is_no_generation_and_a_generations_is_no_trace(tmp_path: Path) -> None:
    trace_id = traces.trace_id("28")
    traces.write(tmp_path / "a.jsonl", traces.completed(), traces.failed())
    said: list[str] = []
    for asked in (trace_id, trace_id.upper(), f"trace:{trace_id}", f"trace:{trace_id[:8]}"):
        (found,) = generations.find(OtlpFiles(tmp_path), asked, ROUTES, said.append)
        assert (found.id, found.trace_id) == ("28", trace_id)
    assert said == []


def test_an_id_that_is_another_traces_too_is_the_generations_and_said(tmp_path: Path) -> None:
    both = traces.trace_id("28")
    traces.write(tmp_path / "a.jsonl", traces.completed(), traces.failed("own", both))
    said: list[str] = []
    (found,) = generations.find(OtlpFiles(tmp_path), both, ROUTES, said.append)
    assert found.id == both
    assert said == [
        f"{both} is the id of a generation, which this is, and of another trace; "
        f"trace:{both} asks for that"
    ]
    (other,) = generations.find(OtlpFiles(tmp_path), f"trace:{both}", ROUTES)
    assert other.id == "28"


def test_a_host_that_calls_its_generations_by_their_traces(tmp_path: Path) -> None:
    own = traces.trace_id("28")
    traces.write(tmp_path / "a.jsonl", traces.completed("28", own))
    said: list[str] = []
    (found,) = generations.find(OtlpFiles(tmp_path), own, ROUTES, said.append)
    assert (found.id, said) == (own, [])


@pytest.mark.parametrize("asked", ["f" * 36, UUID, PLAIN, "trace:" + "f" * 32, "x" * 40])
def test_what_is_long_and_not_there(source: OtlpFiles, asked: str) -> None:
    with pytest.raises(NotFoundError, match="5 traces looked at"):
        generations.find(source, asked, ROUTES)


@pytest.mark.parametrize("asked", ["asset:13", "request:abc"])
def test_what_this_source_cannot_look_up(source: OtlpFiles, asked: str) -> None:
    with pytest.raises(UsageError, match="cannot be looked up"):
        generations.find(source, asked, ROUTES)


def test_the_newest_is_shown_where_none_failed(tmp_path: Path) -> None:
    traces.write(tmp_path / "spans.jsonl", traces.completed(), traces.returned())
    assert generations.newest(OtlpFiles(tmp_path), ROUTES).id == "28"


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is empty"):
        generations.find(OtlpFiles(tmp_path), "", ROUTES)
