"""The exporters, real ones, against endpoints of every kind: what is taken, what not, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from gentrace.core import settings
from gentrace.runtime.export import quiet
from gentrace.runtime.export.otlp_http import NoAnswer, cause, rejected
from gentrace.runtime.export.outlet import make_exporter
from tests.support import bad_endpoint as bad
from tests.support.bad_endpoint import HTML, JSON, PROTOBUF, answers, bad_endpoint
from tests.support.lasting import lasting
from tests.support.otlp_receiver import OtlpReceiver
from tools import servers

TAKEN, REFUSED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
Send = Callable[..., Any]


def span() -> ReadableSpan:
    made = TracerProvider(shutdown_on_exit=False).get_tracer("gentrace").start_span("work")
    made.end()
    assert isinstance(made, ReadableSpan)
    return made


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Generator[Send]:
    """Sends two spans to an endpoint with these variables; returns the exporter and its result."""
    with ExitStack() as stack:

        def sending(endpoint: str, timeout: str = "1", **env: str) -> tuple[Any, SpanExportResult]:
            given = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_EXPORTER_OTLP_TIMEOUT": timeout,
                **{f"OTEL_EXPORTER_OTLP_{name}": value for name, value in env.items()},
            }
            for name, value in given.items():
                monkeypatch.setenv(name, value)
            exporter = make_exporter(settings.read({**given, "GENTRACE_SPOOL": "s"}))
            assert exporter is not None
            stack.callback(exporter.shutdown)
            with quiet.quietly():
                return exporter, exporter.export([span(), span()])

        yield sending
    quiet.undo()


ANSWERS = {
    "nothing at all": (answers(), TAKEN, ""),
    "202, no content type": (answers("202 Accepted", b"", ""), TAKEN, ""),
    "a word": (answers(body=b"ok", kind="text/plain"), TAKEN, ""),
    "JSON": (answers(body=b'{"partialSuccess":{}}', kind=JSON), TAKEN, ""),
    "empty JSON": (answers(body=b"{}", kind=JSON), TAKEN, ""),
    "a page": (answers(body=b"<html>log in</html>", kind=HTML), REFUSED, "a web page"),
    "not protobuf": (answers(body=b"\xff\xffhello"), REFUSED, "not OTLP"),
    "not protobuf, no type": (answers(body=b"\xff\xffhello", kind=""), REFUSED, "not OTLP"),
    "no JSON": (answers(body=b"{", kind=JSON), REFUSED, "not OTLP"),
    "JSON of another shape": (answers(body=b"[1]", kind=JSON), REFUSED, "not OTLP"),
    "cut off": (answers(body=b"\x0a" * 50, cut=20), REFUSED, "IncompleteRead"),
    "301": (answers("301 Moved", b"", HTML, "Location: /x"), REFUSED, "HTTP 301 Moved Permanently"),
    "307": (answers("307 x", b"", HTML, "Location: http://h:1/"), REFUSED, "HTTP 307"),
    "304": (answers("304 Not Modified"), REFUSED, "HTTP 304 Not Modified"),
    "400": (answers("400 leave out\tthis"), REFUSED, "HTTP 400 Bad Request"),
    "401": (answers("401 no", b"<html>", HTML), REFUSED, "HTTP 401 Unauthorized"),
    "404": (answers("404 no"), REFUSED, "HTTP 404 Not Found"),
    "429": (answers("429 no", b"", PROTOBUF, "Retry-After: 60"), REFUSED, "HTTP 429"),
    "500": (answers("500 no"), REFUSED, "HTTP 500 Internal Server Error"),
    "503": (answers("503 no", b"", PROTOBUF, "Retry-After: 60"), REFUSED, "HTTP 503"),
    "599": (answers("599 no"), REFUSED, "HTTP 599"),
    "no HTTP": (lambda c, _: c.sendall(b"220 smtp ready\r\n"), REFUSED, "BadStatusLine"),
    "a reset": (bad.resets, REFUSED, ""),
    "silence": (bad.never_answers, REFUSED, "no answer in time"),
    "no end, slowly": (bad.never_ends, REFUSED, "does not end"),
    "no end, fast": (bad.floods, REFUSED, "does not end"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_over_http(send: Send, name: str) -> None:
    behave, expected, why = ANSWERS[name]
    with bad_endpoint(behave) as address:
        with lasting() as took:
            exporter, result = send(f"http://{address}")
        assert took[0] < 4
        assert (result, exporter.rejected) == (expected, 0)
        assert why in exporter.why
        assert bool(exporter.why) is (expected is REFUSED)


def test_what_is_rejected_is_counted(send: Send) -> None:
    with bad_endpoint(bad.rejects(2)) as address:
        exporter, result = send(f"http://{address}")
        assert (result, exporter.rejected) == (TAKEN, 2)


def test_what_is_rejected_over_grpc_is_counted(send: Send, otlp_receiver: OtlpReceiver) -> None:
    with otlp_receiver.behaving("reject"):
        exporter, result = send(otlp_receiver.grpc_endpoint, PROTOCOL="grpc")
        assert (result, exporter.rejected) == (TAKEN, 1)
    assert (exporter.export([span()]), exporter.rejected) == (TAKEN, 0)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"partialSuccess":{"rejectedSpans":"3"}}', 3),
        (b'{"partialSuccess":{"rejectedSpans":3,"errorMessage":"x"}}', 3),
        (b'{"partialSuccess":{"rejectedSpans":-3}}', 0),
        (b'{"partialSuccess":null}', 0),
        (b"null", 0),
    ],
)
def test_what_is_rejected_in_json(body: bytes, count: int) -> None:
    assert rejected(JSON, body) == count


def test_json_that_is_too_deep_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        rejected(JSON, b"[" * 100_000)


def test_nobody_accepts(send: Send) -> None:
    with bad.never_accepts() as address, lasting() as took:
        exporter, result = send(f"http://{address}")
    assert took[0] < 4
    assert (result, exporter.why) == (REFUSED, "no answer in time")


def test_a_closed_port(send: Send) -> None:
    exporter, result = send(f"http://127.0.0.1:{servers.free_ports(1)[0]}")
    assert (result, exporter.why) == (REFUSED, "Connection refused")


def test_a_closed_port_over_grpc(send: Send) -> None:
    endpoint = f"http://127.0.0.1:{servers.free_ports(1)[0]}"
    exporter, result = send(endpoint, PROTOCOL="grpc")
    assert (result, exporter.why) == (REFUSED, "gRPC UNAVAILABLE")


def test_tls_to_a_plain_port(send: Send) -> None:
    with bad_endpoint(answers("400 no")) as address:
        exporter, result = send(f"https://{address}")
        assert result is REFUSED
        assert "SSL" in exporter.why


def test_a_certificate_that_is_not_there(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they win over OpenTelemetry's
        monkeypatch.delenv(name, raising=False)
    exporter, result = send("https://127.0.0.1:1", CERTIFICATE="/nowhere/ca.pem")
    assert result is REFUSED
    assert "/nowhere/ca.pem" in exporter.why


def test_http_to_a_grpc_port_and_the_reverse(send: Send, otlp_receiver: OtlpReceiver) -> None:
    exporter, result = send(otlp_receiver.grpc_endpoint)
    assert result is REFUSED
    assert exporter.why
    exporter, result = send(otlp_receiver.http_endpoint, PROTOCOL="grpc")
    assert (result, exporter.why) == (REFUSED, "gRPC UNAVAILABLE")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("compression", ["", "none", "gzip", "deflate", "zstd"])
def test_every_compression(
    send: Send, otlp_receiver: OtlpReceiver, protocol: str, compression: str
) -> None:
    if (protocol, compression) == ("http/protobuf", "deflate"):
        return  # the receiver does not read it
    otlp_receiver.clear()
    grpc = protocol == "grpc"
    endpoint = otlp_receiver.grpc_endpoint if grpc else otlp_receiver.http_endpoint
    _, result = send(endpoint, "5", PROTOCOL=protocol, COMPRESSION=compression)
    assert result is TAKEN
    assert len(otlp_receiver.spans()) == 2


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_out_that_cannot_be_meant(
    send: Send, otlp_receiver: OtlpReceiver, protocol: str, timeout: str
) -> None:
    grpc = protocol == "grpc"
    endpoint = otlp_receiver.grpc_endpoint if grpc else otlp_receiver.http_endpoint
    _, result = send(endpoint, timeout, PROTOCOL=protocol)
    assert result is TAKEN


def test_the_libraries_say_nothing_of_it(
    send: Send, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    closed = f"127.0.0.1:{servers.free_ports(1)[0]}"
    for protocol in ("http/protobuf", "grpc"):
        for scheme in ("http", "https"):
            env = {"PROTOCOL": protocol, "HEADERS": "secret", "CERTIFICATE": "/nowhere/ca.pem"}
            with quiet.quietly():
                _, result = send(f"{scheme}://{closed}", "0.3", **env)
            assert result is REFUSED
    assert caplog.messages == []
    assert "".join(capfd.readouterr()) == ""


def test_what_they_say_to_the_host_stays(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    with quiet.quietly():
        logger.warning("of our work")
    logger.warning("of the host's")
    quiet.undo()
    assert caplog.messages == ["of the host's"]
    assert not logger.filters


def test_a_cause_is_what_the_system_said() -> None:
    deep, wrapped = ConnectionResetError(104, "Connection reset by peer"), ValueError("user:pass@h")
    wrapped.__context__ = deep
    assert cause(wrapped) == "Connection reset by peer"
    assert cause(ValueError("http://user:password@host")) == "ValueError"
    assert cause(TimeoutError("t")) == "no answer in time"
