"""Beside `opentelemetry-instrument`: its spans and ours in its provider, none of them twice."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.e2e import reading
from tests.e2e.faults import raised_elsewhere
from tests.support.otlp_receiver import OtlpReceiver, Span
from tests.support.programs import BIN
from tests.support.small_host import ARQ, UVICORN, SmallHost, small_host

INSTRUMENT = str(BIN / "opentelemetry-instrument")
CONTRIB = "opentelemetry.instrumentation."
COMPLETE = reading.OF_THE_API | reading.OF_THE_WORKER
STANDARD = {
    "OTEL_SERVICE_NAME": "mine",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}
LATE = """
import sys
import pixsim7.backend.main
from gentrace.runtime import startup
assert startup.session() is not None
{libraries}
from opentelemetry.instrumentation.auto_instrumentation import initialize
initialize()
if sys.argv[1] == "api":
    from uvicorn.main import main
else:
    from arq.cli import cli as main
del sys.argv[1]
main()
"""


@pytest.fixture(scope="module")
def host(received: OtlpReceiver, anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis alone: each test starts API and worker its own way."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint, **STANDARD}
    with small_host(env, api=False, workers=0, failed=anything_failed) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(host: SmallHost) -> None:
    """No job waits and no run is still to be written of a test before."""
    host.forget_jobs()


def traced(
    host: SmallHost,
    received: OtlpReceiver,
    env: Mapping[str, str],
    api: Sequence[str],
    worker: Sequence[str],
) -> list[Span]:
    """The spans of one generation's trace, in the host's provider; each process said one line."""
    received.clear()
    with host.running(env, api=api, worker=worker) as programs:
        generation_id = str(host.run()["id"])
        received.wait_for(reading.complete([generation_id], COMPLETE))
    for program in programs:
        (line,) = program.said()
        assert "tracing as mine, spans go to the host's own tracer provider (" in line
        raised_elsewhere(program)
    spans = received.spans()
    assert reading.services(spans) == {"mine"}
    return reading.of_generation(spans, generation_id)


def check_none_twice(trace: Sequence[Span]) -> None:
    """One SERVER span; for each call of a library one span, by OpenTelemetry's instrumentation."""
    (root,) = reading.roots(trace)
    assert (root["name"], root["kind"]) == (reading.SERVER_SPAN, "SERVER")
    assert [span for span in trace if span["kind"] == "SERVER"] == [root]
    assert reading.orphans(trace) == []
    scopes = Counter(span["scope"] for span in trace)
    assert scopes[CONTRIB + "sqlalchemy"] > 10
    assert scopes[CONTRIB + "redis"] > 10
    assert scopes[CONTRIB + "httpx"] == len([s for s in trace if "http.url" in s["attributes"]]) - 1
    assert set(scopes) == {
        "gentrace",
        *(CONTRIB + n for n in ("fastapi", "sqlalchemy", "redis", "httpx")),
    }
    statements = [s for s in trace if "db.statement" in s["attributes"]]
    for name in ("sqlalchemy", "redis"):
        times = Counter(
            (s["parent_span_id"], s["start_ns"]) for s in statements if s["scope"] == CONTRIB + name
        )
        assert max(times.values()) == 1
    nested = {span["span_id"] for span in statements}
    assert [s["name"] for s in statements if s["parent_span_id"] in nested] == []


@pytest.mark.parametrize("env", [{}, {"GENTRACE": "1"}], ids=["its own loading", "our .pth first"])
def test_one_trace_and_no_span_twice(
    host: SmallHost, received: OtlpReceiver, env: Mapping[str, str]
) -> None:
    api, worker = ([INSTRUMENT, *command] for command in (UVICORN, ARQ))
    check_none_twice(traced(host, received, env, api, worker))


@pytest.mark.parametrize(
    "libraries", ["", "import fastapi, sqlalchemy.ext.asyncio, httpx, redis.asyncio"]
)
def test_a_host_that_instruments_after_us_gets_its_own(
    host: SmallHost, received: OtlpReceiver, tmp_path: Path, libraries: str
) -> None:
    starter = tmp_path / "late.py"
    starter.write_text(LATE.format(libraries=libraries))
    api = [sys.executable, str(starter), "api", *UVICORN[1:]]
    worker = [sys.executable, str(starter), "worker", *ARQ[1:]]
    check_none_twice(traced(host, received, {"GENTRACE": "1"}, api, worker))


def test_a_generation_does_not_go_into_its_callers_trace(
    host: SmallHost, received: OtlpReceiver
) -> None:
    received.clear()
    caller = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    api = [INSTRUMENT, *UVICORN]
    with host.running({}, api=api, worker=None):
        ids = [host.submit(headers=caller) for _ in range(2)]
        received.wait_for(reading.complete(ids, reading.OF_THE_API - {reading.SERVER_SPAN}))
        received.wait_for(lambda spans: sum(s["name"] == reading.SERVER_SPAN for s in spans) == 2)
    servers = [s for s in received.spans() if s["name"] == reading.SERVER_SPAN]
    assert {span["trace_id"] for span in servers} == {"ab" * 16}
    for generation_id in ids:
        (root,) = reading.roots(reading.of_generation(received.spans(), generation_id))
        assert root["name"] == "create_generation"
        (link,) = root["links"]
        assert link["span_id"] in {span["span_id"] for span in servers}
        assert link["attributes"] == {"gentrace.link": "request"}


@pytest.mark.parametrize(
    "env", [{"GENTRACE": "0"}, {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "gentrace"}], ids=str
)
def test_it_can_be_told_to_leave_gentrace_out(
    host: SmallHost, received: OtlpReceiver, env: Mapping[str, str]
) -> None:
    received.clear()
    with host.running(env, api=[INSTRUMENT, *UVICORN], worker=None) as (program,):
        host.submit()
        received.wait_for(lambda spans: reading.SERVER_SPAN in reading.names(spans))
    assert program.said() == []
    assert [span for span in received.spans() if span["scope"] == "gentrace"] == []


def test_what_the_hosts_provider_holds_is_out_when_uvicorn_ends(
    host: SmallHost, received: OtlpReceiver
) -> None:
    received.clear()
    env = {"OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with host.running(env, api=[INSTRUMENT, *UVICORN], worker=None):
        generation_id = host.submit()
        assert received.spans() == []
    assert reading.complete([generation_id], reading.OF_THE_API)(received.spans())
