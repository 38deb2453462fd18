"""A real Jaeger has each generation's trace, found by its id, span for span as it was sent.

Most of it through the Collector, whose file has the same.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from gentrace.core import names
from gentrace.core.spans import Trace
from gentrace.sources.otlp_files import OtlpFiles
from tests.e2e import reading
from tests.support import jaegers
from tests.support.programs import BIN, ROOT, run
from tests.support.recording import recorder
from tests.support.small_host import small_host
from tools import servers
from tools.servers import JaegerServer

pytestmark = [pytest.mark.service("collector"), pytest.mark.service("jaeger")]

API, WORKER = "e2e-jaeger-api", "e2e-jaeger-worker"  # of this test alone
WHOLE = reading.OF_THE_API | reading.OF_THE_WORKER


def find(jaeger: JaegerServer, service: str, generation_id: str) -> list[dict[str, Any]]:
    """The traces that Jaeger finds for that service and generation."""
    query = {"service": service, "tags": json.dumps({"generation.id": generation_id}), "limit": 20}
    answer = httpx.get(jaeger.url + "/api/traces", params=query, trust_env=False, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_jaeger_finds_the_whole_trace_by_the_generations_id(
    jaeger_server: JaegerServer, anything_failed: Callable[[], bool]
) -> None:
    with small_host(
        {"GENTRACE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger_server.otlp_http},
        api_env={"OTEL_SERVICE_NAME": API},
        worker_env={"OTEL_SERVICE_NAME": WORKER},
        failed=anything_failed,
    ) as host:
        ids = [host.submit("one"), host.submit("two RETRYFILTER1")]
        assert [g["status"] for g in host.wait_final(ids)] == ["completed", "completed"]
    seen: set[str] = set()
    for generation_id in ids:
        end = time.monotonic() + 15
        while True:
            found = find(jaeger_server, WORKER, generation_id)
            names = {span["operationName"] for trace in found for span in trace["spans"]}
            if names >= WHOLE:
                break
            assert time.monotonic() < end, sorted(names)
            time.sleep(0.1)
        (trace,) = found
        seen.add(trace["traceID"])
        assert [t["traceID"] for t in find(jaeger_server, API, generation_id)] == [trace["traceID"]]
        services = {p["serviceName"] for p in trace["processes"].values()}
        assert services == {API, WORKER}
        known = {span["spanID"] for span in trace["spans"]}
        parents = [[ref["spanID"] for ref in span["references"]] for span in trace["spans"]]
        assert sum(not each for each in parents) == 1
        assert {parent for each in parents for parent in each} <= known
        (root,) = [span for span in trace["spans"] if not span["references"]]
        assert root["operationName"] == reading.SERVER_SPAN
    assert len(seen) == len(ids)


FATES = ("fine", "RETRYFILTER1", "BADPROMPT", "fine", "BOOM1", "fine", "FILTER", "fine")
RARE = {11: "CONC1", 45: "SESSION1", 101: "CONC1"}  # an account that they take out is out a while
MANY = 200


def of_generations(traces: list[Trace]) -> dict[str, set[str]]:
    """The traces of each generation, by their ids."""
    found: dict[str, set[str]] = {}
    for trace in traces:
        for span in trace.spans:
            if (id_ := span.text(names.GENERATION_ID)) is not None:
                found.setdefault(id_, set()).add(trace.trace_id)
    return found


def counts(traces: dict[str, Trace]) -> dict[str, int]:
    """How many spans each has."""
    return {trace_id: len(trace.spans) for trace_id, trace in traces.items()}


def ended(spans: list[Any]) -> set[str]:
    """The generations whose run has its span."""
    return {s["attributes"][names.GENERATION_ID] for s in spans if s["name"] == names.RUN}


def over(spans: list[Any]) -> bool:
    """Whether every run has its span, which is written once its end has settled."""
    runs = [span for span in spans if span["name"] == names.RUN]
    return len(ended(runs)) >= MANY and any(span["links"] for span in runs)


@dataclass(frozen=True)
class Sent:
    """What a host exported: its generations, a spool of all of it, and the Collector's file."""

    ids: list[str]
    spool: Path
    collected: Path
    traces: dict[str, Trace]


@pytest.fixture(scope="module")
def sent(
    jaeger_server: JaegerServer,
    anything_failed: Callable[[], bool],
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Sent]:
    """Two hundred generations of mixed fates, to their ends and through the Collector."""
    file = tmp_path_factory.mktemp("many") / "spans-1.jsonl"
    with servers.collector(anything_failed, jaeger=jaeger_server) as collector:
        ids = _two_hundred(collector.otlp_http, file, anything_failed)
        traces = {t.trace_id: t for t in OtlpFiles(file).traces().traces}
        yield Sent(ids, file.parent, collector.traces, traces)


def _two_hundred(endpoint: str, file: Path, failed: Callable[[], bool]) -> list[str]:
    """Have a host make them, and record what it exports; their ids."""
    with (
        recorder(endpoint, file) as through,
        small_host(
            {
                "GENTRACE": "1",
                "OTEL_EXPORTER_OTLP_ENDPOINT": through.http_endpoint,
                "OTEL_BSP_SCHEDULE_DELAY": "1000",
                "GENTRACE_SQL": "slow",  # what is read back here are not SQLAlchemy's spans
                "ACCOUNT_COUNT": "8",
                "ACCOUNT_SLOTS": "8",
            },
            api_env={"OTEL_SERVICE_NAME": "e2e-many-api"},
            worker_env={"OTEL_SERVICE_NAME": "e2e-many-worker"},
            workers=2,
            failed=failed,
        ) as host,
    ):
        words = (RARE.get(n, FATES[n % len(FATES)]) for n in range(MANY))
        ids = host.submit_all([{"prompt": f"number {n} {word}"} for n, word in enumerate(words)])
        host.submit("number 0 fine", request={"force_new": False})
        host.wait_status(ids[2], "failed")
        through.wait_for(lambda spans: {ids[2]} <= ended(spans), 60)
        host.act(ids[2], "retry")  # a run of its own, linked to the one before
        through.wait_for(over, 200)
    return ids


@pytest.mark.timeout(300)
def test_the_collectors_file_has_each_span_as_it_was_sent(sent: Sent) -> None:
    kept = {trace.trace_id: trace for trace in OtlpFiles(sent.collected).traces().traces}
    assert kept.keys() == sent.traces.keys()
    for trace_id, trace in sent.traces.items():
        assert kept[trace_id].spans == trace.spans


@pytest.mark.timeout(300)
def test_each_of_two_hundred_generations_is_in_jaeger_span_for_span(
    jaeger_server: JaegerServer, sent: Sent
) -> None:
    traces_of = of_generations(list(sent.traces.values()))
    with jaegers.reading(jaeger_server.url, only="e2e-many-") as source:
        end = time.monotonic() + 30
        while {t.trace_id: len(t.spans) for t in source.traces().traces} != counts(sent.traces):
            assert time.monotonic() < end, "not all spans are in Jaeger"
            time.sleep(0.2)
        for generation_id in sent.ids:
            found = source.by_generation(generation_id).traces
            assert {trace.trace_id for trace in found} == traces_of[generation_id]
            runs = {span.text(names.GENERATION_RUN) for trace in found for span in trace.spans}
            assert len(found) <= len(runs - {None}), "one trace, but for another run of it"
            for trace in found:
                assert trace.spans == sent.traces[trace.trace_id].spans
        assert not source.traces().truncated


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("sent")
def test_the_searches_of_the_readme_find_something(jaeger_server: JaegerServer) -> None:
    """Jaeger's page hands its address on to the API as it is; nothing takes a minute here."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    searches = re.findall(r"^/search\?(\S+)$", readme, re.MULTILINE)
    assert len(searches) == 5
    for search in searches:
        asked = dict(parse_qsl(search.replace("minDuration=1m", "minDuration=10ms")))
        asked["service"] = asked["service"].replace("pixsim7", "e2e-many")
        answer = httpx.get(f"{jaeger_server.url}/api/traces", params=asked, trust_env=False)
        assert answer.json()["data"], search
        labels = [f"{name}={value}" for name, value in json.loads(asked["tags"]).items()]
        row = f"`{asked['operation']}` | `{' '.join(labels)}`"
        assert row in readme, "the form's words are the same search"


@pytest.mark.timeout(300)
def test_show_answers_the_same_from_jaeger_the_spool_and_the_collectors_file(
    jaeger_server: JaegerServer, sent: Sent, tmp_path: Path
) -> None:
    traces_of = of_generations(list(sent.traces.values()))
    for trace_id in (min(traces_of[id_]) for id_ in sent.ids[:8]):
        jaeger, spool, collected = (
            _shown(trace_id, tmp_path, more)
            for more in (
                {"GENTRACE_SOURCE": jaeger_server.url},
                {"GENTRACE_SPOOL": str(sent.spool)},
                {"GENTRACE_SOURCE": str(sent.collected)},
            )
        )
        assert jaeger == spool == collected


def _shown(trace_id: str, home: Path, env: Mapping[str, str]) -> Any:
    """What `gentrace show` answers for programs, without links into Jaeger's page."""
    done = run([str(BIN / "gentrace"), "show", trace_id, "--json"], home, env)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    answer.pop("links", None)
    for shown in (answer["generation"], *answer["runs"]):
        shown.pop("link", None)
    return answer
