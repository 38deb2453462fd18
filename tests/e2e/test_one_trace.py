"""One generation is one trace: from the request to what the host does at the end."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import reading
from tests.support.otlp_receiver import OtlpReceiver, Span, receiver
from tests.support.small_host import Generation, SmallHost, small_host
from tests.support.waiting import PATIENCE_S
from tools.servers import PostgresServer

QUICK = {"STANDIN_SLOW_RENDER_S": "2.5"}
CROWD = {
    **QUICK,
    "ACCOUNT_COUNT": "4",
    "ARQ_MAX_JOBS": "20",
    "CANCEL_GRACE_S": "1",
    "PROVIDER_TIMEOUT_S": "8",
}

TO_THE_END = {"generation", "queue.wait", "provider.wait", "process_ingestion"}


@dataclass(frozen=True)
class Story:
    """A generation as its host tells it, and every span that the host's processes sent."""

    generation: Generation
    spans: list[Span]
    polls: int

    def only(self, name: str) -> Span:
        """The one span of that name."""
        return reading.only(self.spans, name)

    def path(self, name: str) -> list[str]:
        """The names from the root down to the one span of that name."""
        return reading.path(self.spans, self.only(name))


@pytest.fixture(scope="module", params=["http/protobuf", "grpc"])
def story(request: pytest.FixtureRequest, anything_failed: Callable[[], bool]) -> Generator[Story]:
    """A generation that renders for longer than a poll's interval, over each protocol."""
    with receiver() as received:
        endpoint = received.grpc_endpoint if request.param == "grpc" else received.http_endpoint
        env = {
            **QUICK,
            "GENTRACE": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": request.param,
        }
        with small_host(env, failed=anything_failed) as host:
            generation = host.run(prompt="a slow lighthouse SLOWRENDER")
            received.wait_for(reading.complete([str(generation["id"])], TO_THE_END))
            host.workers[0].wait_until(lambda: _is_over(received.spans()), "the last poll is over")
            asked = [request["path"] for request in host.standin_requests()]
        yield Story(generation, received.spans(), sum("/list/" in path for path in asked))


def _is_over(spans: list[Span]) -> bool:
    """Whether what the host does on the final status has ended, and with it the poll around it."""
    return "generation.finish" in reading.names(spans) and reading.orphans(spans) == []


def test_it_is_exactly_one_trace_with_one_root(story: Story) -> None:
    assert story.generation["status"] == "completed"
    assert len(reading.by_trace(story.spans)) == 1
    (root,) = reading.roots(story.spans)
    assert (root["name"], root["kind"]) == (reading.SERVER_SPAN, "SERVER")


def test_no_parent_is_missing(story: Story) -> None:
    assert reading.orphans(story.spans) == []
    ids = [span["span_id"] for span in story.spans]
    assert len(ids) == len(set(ids))


def test_it_crosses_both_processes(story: Story) -> None:
    by_service: dict[str, set[str]] = {}
    for span in story.spans:
        by_service.setdefault(span["resource"]["service.name"], set()).add(span["name"])
    assert by_service.keys() == {"pixsim7-api", "pixsim7-worker", "pixsim7-runs"}
    assert by_service["pixsim7-runs"] == {"generation", "queue.wait", "provider.wait"}
    assert by_service["pixsim7-api"] >= reading.OF_THE_API
    assert by_service["pixsim7-worker"] >= reading.OF_THE_WORKER
    instances = {span["resource"]["service.instance.id"] for span in story.spans}
    assert len(instances) == 2
    machine = {"host.name": platform.node(), **_machine_id()}
    for span in story.spans:
        told = {n: v for n, v in span["resource"].items() if n.startswith("host.")}
        assert told == machine


def _machine_id() -> dict[str, str]:
    try:
        return {"host.id": Path("/etc/machine-id").read_text(encoding="ascii").strip()}
    except OSError:
        return {}


def test_no_span_is_without_length(story: Story) -> None:
    """Jaeger 2 takes one for a mistake, and says so on the span."""
    assert [s["name"] for s in story.spans if s["end_ns"] <= s["start_ns"]] == []


def test_the_job_hangs_under_its_enqueue(story: Story) -> None:
    enqueue, job = story.only("enqueue process_generation"), story.only("process_generation")
    assert (enqueue["kind"], job["kind"]) == ("PRODUCER", "CONSUMER")
    assert job["parent_span_id"] == enqueue["span_id"]
    assert job["start_ns"] >= enqueue["start_ns"]
    server, create = reading.SERVER_SPAN, "create_generation"
    assert story.path("enqueue process_generation") == [server, create, enqueue["name"]]


def test_the_submission_goes_down_to_the_http_call(story: Story) -> None:
    adapter = story.only("pixverse._generate_text_to_video")
    assert story.path(adapter["name"])[-4:-1] == [
        "process_generation",
        "provider.execute",
        "pixverse.execute",
    ]
    (call,) = [span for span in story.spans if span["parent_span_id"] == adapter["span_id"]]
    assert (call["name"], call["kind"]) == ("POST", "CLIENT")
    execute = story.only("provider.execute")["attributes"]
    assert (
        execute["generation.provider.job_id"]
        == story.generation["latest_submission_provider_job_id"]
    )


def test_the_run_and_its_waits_stand_where_they_belong(story: Story) -> None:
    run, finish = story.only("generation"), story.only("generation.finish")
    assert story.path("generation") == [reading.SERVER_SPAN, "generation"]
    assert [s["name"] for s in story.spans if s["parent_span_id"] == run["span_id"]] == []
    assert run["start_ns"] == story.only(reading.SERVER_SPAN)["start_ns"]
    assert finish["start_ns"] <= run["end_ns"] <= finish["end_ns"]
    spent = [v for n, v in run["attributes"].items() if n.startswith("generation.time.")]
    assert sum(spent) == pytest.approx((run["end_ns"] - run["start_ns"]) / 1e9, abs=1e-6)
    assert story.path("queue.wait")[-2] == "enqueue process_generation"
    assert story.only("queue.wait")["end_ns"] <= story.only("process_generation")["end_ns"]
    assert story.path("provider.wait")[-2] == "provider.execute"
    assert story.only("provider.wait")["attributes"]["generation.polls"] == story.polls


def test_of_all_polls_the_one_that_found_the_end_is_there(story: Story) -> None:
    poll, finish = story.only("provider.poll"), story.only("generation.finish")
    assert story.polls > 1
    assert poll["attributes"]["generation.provider.status"] == "completed"
    jobs_end = max(span["end_ns"] for span in story.spans if span["kind"] == "CONSUMER")
    between = [s["name"] for s in story.spans if jobs_end < s["start_ns"] < poll["start_ns"]]
    assert between == []
    assert finish["parent_span_id"] == poll["span_id"]
    assert finish["attributes"]["generation.outcome"] == "completed"


def test_every_span_from_the_id_on_has_it(story: Story) -> None:
    create = story.only("create_generation")
    (insert,) = [
        span
        for span in story.spans
        if span["name"].startswith("INSERT") and span["parent_span_id"] == create["span_id"]
    ]
    for span in story.spans:
        late = span["start_ns"] >= insert["end_ns"]
        if late or span["scope"] == "gentrace" or span["kind"] == "SERVER":
            found = span["attributes"].get("generation.id")
            assert found == str(story.generation["id"]), span["name"]


def test_no_span_says_that_something_failed(story: Story) -> None:
    assert [span["name"] for span in story.spans if span["status"]["code"] == "ERROR"] == []


# -- many at once --------------------------------------------------------------------------
IMAGE, VIDEO = "http://media.example/1.png", "http://media.example/1.mp4"
OPERATIONS: tuple[dict[str, Any], ...] = (
    {"operation": "text_to_video"},
    {"operation": "image_to_video", "image_url": IMAGE},
    {"operation": "video_extend", "video_url": VIDEO},
    {"operation": "video_modify", "video_url": VIDEO},
    {"operation": "video_transition", "image_urls": [IMAGE, IMAGE]},
    {"operation": "fusion", "image_urls": [IMAGE]},
    {"operation": "text_to_image"},
    {"operation": "image_to_image", "image_url": IMAGE},
    {"operation": "text_to_video", "provider": "sora"},
    {"operation": "image_to_image", "image_url": IMAGE, "provider": "remaker"},
)
FATES = {
    "": "completed",
    "RETRYFILTER1": "completed",
    "SLOWRENDER": "completed",
    "BADPROMPT": "failed",
    "FILTER1": "completed",
    "CONC1": "completed",
    "SESSION1": "completed",
    "BOOM1": "completed",
    "FILTER": "failed",
    "NEVERRENDER": "cancelled",
}
OTHERS = {"": "completed", "SLOWRENDER": "completed", "BADPROMPT": "failed"}


def mixed(count: int) -> list[tuple[dict[str, Any], str]]:
    """So many requests of every operation and fate in turn, each with the status to expect."""
    wanted: list[tuple[dict[str, Any], str]] = []
    for number in range(count):
        asked = OPERATIONS[number % len(OPERATIONS)]
        fates = OTHERS if "provider" in asked else FATES
        fate = list(fates)[(number + number // len(OPERATIONS)) % len(fates)]
        wanted.append(({**asked, "prompt": f"number {number} {fate}"}, fates[fate]))
    return wanted


def go(host: SmallHost, count: int, timeout: float = PATIENCE_S) -> list[str]:
    """Have them all made, ten at a time; returns their ids."""
    wanted = mixed(count)
    ids = host.submit_all([request for request, _ in wanted])
    for generation_id, (_, expected) in zip(ids, wanted, strict=True):
        if expected == "cancelled":
            host.cancel(generation_id)
    ended = host.wait_final(ids, timeout)
    statuses = [(g["final_prompt"], g["status"]) for g in ended]
    assert statuses == [(request["prompt"], expected) for request, expected in wanted]
    return ids


def check(ids: Sequence[str], received: OtlpReceiver) -> None:
    """Every generation has one trace to itself, with one root and no missing parent."""
    spans = received.spans()
    found = reading.trace_ids(spans)
    assert found.keys() == set(ids)
    traces = {generation_id: next(iter(found[generation_id])) for generation_id in ids}
    assert {g: len(t) for g, t in found.items() if len(t) != 1} == {}
    assert len(set(traces.values())) == len(ids)
    assert reading.by_trace(spans).keys() == set(traces.values())
    assert reading.orphans(spans) == []
    top = Counter((root["trace_id"], root["name"]) for root in reading.roots(spans))
    assert top == {(trace_id, reading.SERVER_SPAN): 1 for trace_id in traces.values()}
    for generation_id in ids:
        members = reading.of_generation(spans, generation_id)
        assert reading.names(members) >= reading.OF_THE_API, generation_id
        assert {"process_generation", "generation.finish"} <= reading.names(members)
    workers = {s["resource"]["service.instance.id"] for s in spans if s["kind"] == "CONSUMER"}
    assert len(workers) == 2


def test_a_dozen_generations_of_every_kind_are_a_dozen_traces(
    anything_failed: Callable[[], bool],
) -> None:
    with receiver() as received:
        env = {**CROWD, "GENTRACE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
        with small_host(env, workers=2, failed=anything_failed) as host:
            ids = go(host, 12)
        check(ids, received)


def test_a_hundred_generations_are_a_hundred_traces(
    postgres_server: PostgresServer, anything_failed: Callable[[], bool]
) -> None:
    with receiver() as received:
        env = {
            **CROWD,
            "DATABASE_URL": postgres_server.new_database("asyncpg"),
            "GENTRACE": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint,
        }
        with small_host(env, workers=2, failed=anything_failed) as host:
            ids = go(host, 100, timeout=500)
        check(ids, received)
