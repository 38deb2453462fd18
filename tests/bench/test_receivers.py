"""What the bench's receivers make of each protocol, and that they refuse what is none."""

from __future__ import annotations

import gzip
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.receivers import datadog, otlp, sentry
from bench.receivers.__main__ import HOST, Server
from bench.receivers.arrived import Arrived, Count, NotUnderstood, count, of_spool, read
from tools.ports import free_ports

NS = 1_790_000_000_000_000_000
TRACE = "0af7651916cd43dd8448eb211c80319c"
ENVELOPE = "/api/1/envelope/"


def _export(*names: str, **attributes: str) -> bytes:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    service = of_resource.resource.attributes.add(key="service.name")
    service.value.string_value = "api"
    spans = of_resource.scope_spans.add().spans
    for name in names:
        made = spans.add(name=name, start_time_unix_nano=NS, trace_id=bytes.fromhex(TRACE))
        for key, value in attributes.items():
            made.attributes.add(key=key.replace("__", ".")).value.string_value = value
    return request.SerializeToString()


def _transaction(start: str | float = NS / 1e9) -> dict[str, object]:
    child = {"trace_id": TRACE, "op": "db.redis", "start_timestamp": start}
    return {
        "type": "transaction",
        "environment": "worker",
        "transaction": "process_generation",
        "start_timestamp": start,
        "contexts": {"trace": {"trace_id": TRACE}},
        "spans": [child, child],
    }


def _envelope(*items: tuple[Mapping[str, object], bytes]) -> bytes:
    lines = [b'{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}']
    for header, payload in items:
        lines += [json.dumps(header).encode(), payload]
    return b"\n".join(lines) + b"\n"


def test_otlp_spans_are_counted_once_each() -> None:
    found = list(otlp.spans(otlp.PATHS[0], _export("POST", "connect")))
    assert found == [Arrived(NS, TRACE, "api", name) for name in ("POST", "connect")]


def test_what_logfire_announces_is_not_counted() -> None:
    announced = _export("POST", logfire__span_type="pending_span")
    assert list(otlp.spans(otlp.PATHS[0], announced)) == []
    assert len(list(otlp.spans(otlp.PATHS[0], _export("POST", logfire__span_type="span")))) == 1


@pytest.mark.parametrize("start", [NS / 1e9, "2026-09-21T14:13:20.000000Z"])
@pytest.mark.parametrize("told", [True, False], ids=["length", "no length"])
def test_a_transaction_and_its_spans_are_counted(start: str | float, told: bool) -> None:
    payload = json.dumps(_transaction(start)).encode()
    session = {"type": "session"}, b'{"sid": "1"}'
    header = {"type": "transaction", **({"length": len(payload)} if told else {})}
    found = list(sentry.spans(ENVELOPE, _envelope(session, (header, payload), session)))
    assert [span.name for span in found] == ["process_generation", "db.redis", "db.redis"]
    assert {(span.start_ns, span.trace, span.process) for span in found} == {(NS, TRACE, "worker")}


def test_spans_that_sentry_streams_are_counted() -> None:
    attributes = {"sentry.environment": {"value": "api", "type": "string"}}
    span = {"trace_id": TRACE, "name": "GET", "start_timestamp": NS / 1e9, "attributes": attributes}
    payload = json.dumps({"items": [span]}).encode()
    found = list(sentry.spans(ENVELOPE, _envelope(({"type": "span"}, payload))))
    assert found == [Arrived(NS, TRACE, "api", "GET")]


def test_both_formats_of_datadog_say_the_same() -> None:
    fields = {"service": "api", "name": "fastapi.request", "trace_id": 7, "start": NS}
    plain = msgspec.msgpack.encode([[fields], [fields]])
    texts = ["", "api", "fastapi.request", "GET /"]
    span = [1, 2, 3, 7, 8, 0, NS, 1000, 0, {}, {}, 0]
    packed = msgspec.msgpack.encode([texts, [[span], [span]]])
    expected = [Arrived(NS, f"{7:016x}", "api", "fastapi.request")] * 2
    assert list(datadog.spans(datadog.V4, plain)) == expected
    assert list(datadog.spans(datadog.V5, packed)) == expected


@pytest.mark.parametrize(
    ("protocol", "path"),
    [(otlp, otlp.PATHS[0]), (sentry, ENVELOPE), (datadog, datadog.V4), (datadog, datadog.V5)],
)
@pytest.mark.parametrize("body", [b"\xff\xff<html>", b'{"a": 1}\n{"type":\n'])
def test_what_is_of_no_protocol_is_refused(protocol: object, path: str, body: bytes) -> None:
    spans = vars(protocol)["spans"]
    with pytest.raises(NotUnderstood):
        list(spans(path, body))


def test_what_began_in_a_stretch_is_counted_by_trace() -> None:
    spans = [
        Arrived(10, "a", "pixsim7-api", "POST"),
        Arrived(19, "a", "pixsim7-worker", "process_generation"),
        Arrived(19, "a", "pixsim7-runs", "generation"),
        Arrived(15, "b", "worker", "SELECT"),
        Arrived(15, "c", "pixsim7-runs", "generation"),
        Arrived(20, "d", "api", "later"),
        Arrived(9, "d", "api", "before"),
    ]
    assert count(spans, [(10, 20)]) == Count(spans=5, traces=3, joined=1)
    assert count(spans, [(9, 10), (20, 21)]) == Count(spans=2, traces=1, joined=0)


def test_a_segment_of_the_spool_is_read_as_what_arrives(tmp_path: Path) -> None:
    name = {"key": "service.name", "value": {"stringValue": "pixsim7-api"}}
    span = {"name": "POST", "traceId": TRACE, "startTimeUnixNano": str(NS)}
    of_resource = {"resource": {"attributes": [name]}, "scopeSpans": [{"spans": [span]}]}
    lines = [{"gentraceProcess": {"pid": 1}}, {"resourceSpans": [of_resource]}]
    (tmp_path / "spans.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = list(of_spool(tmp_path / "spans.jsonl"))
    assert found == [Arrived(NS, TRACE, "pixsim7-api", "POST")]


@pytest.fixture
def server(tmp_path: Path) -> Generator[tuple[str, Path]]:
    """A receiver in this process: its address, and the file of what came."""
    (port,) = free_ports(1)
    out = tmp_path / "received.jsonl"
    with out.open("a", encoding="utf-8") as file, Server(port, file) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://{HOST}:{port}", out
        finally:
            running.shutdown()
            thread.join()


def _send(url: str, body: bytes, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, {**named, "Connection": "close"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def test_the_server_takes_every_protocol_and_writes_a_line_a_span(
    server: tuple[str, Path],
) -> None:
    url, out = server
    payload = json.dumps(_transaction()).encode()
    envelope = gzip.compress(_envelope(({"type": "transaction"}, payload)))
    traces = msgspec.msgpack.encode([[{"service": "api", "name": "x", "trace_id": 7, "start": NS}]])
    assert _send(url + otlp.PATHS[0], _export("POST")) == b""
    _send(url + ENVELOPE, envelope, Content_Encoding="gzip")
    assert json.loads(_send(url + datadog.V4, traces)) == datadog.RATES
    assert _send(url + "/telemetry", b"whatever") == b""
    assert [span.name for span in read(out)] == [
        *("POST", "process_generation", "db.redis", "db.redis", "x"),
    ]


def test_the_server_says_what_it_does_not_understand(
    server: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    url, out = server
    with pytest.raises(urllib.error.HTTPError) as refused:
        _send(url + otlp.PATHS[0], b"\xff\xff")
    refused.value.close()
    assert refused.value.code == 400
    assert list(read(out)) == []
    assert "no OTLP export" in capsys.readouterr().err
