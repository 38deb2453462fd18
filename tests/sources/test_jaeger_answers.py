"""What a Jaeger may answer, well or badly: a whole answer, or one message that helps."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gentrace.core.errors import SourceError, UsageError
from gentrace.sources.jaeger import Access, Jaeger, client
from gentrace.sources.jaeger.access import access, base_url
from tests.core import traces
from tests.support.answering import HOST, Answering, Prepared, answering
from tools.servers import free_ports

MADE = traces.completed()
SPANS = json.dumps({"result": traces.request(*MADE.spans)})
SERVICES = '{"services":["pixsim7-api","pixsim7-worker"]}'
GOOD = {
    "/api/v3/services": Prepared(SERVICES),
    "/api/v3/traces": Prepared(SPANS),
    f"/api/v3/traces/{MADE.trace_id}": Prepared(SPANS),
}
PAGE = "<!doctype html><html><title>Jaeger UI</title></html>"
NONE_FOUND = '{"error":{"httpCode":404,"message":"No traces found"}}'


@contextmanager
def jaeger(
    answers: Mapping[str, Prepared], how: Access | None = None, **more: Any
) -> Generator[tuple[Jaeger, Answering]]:
    with answering(answers) as server:
        source = Jaeger(server.url, how, profile="pixsim7", **more)
        try:
            yield source, server
        finally:
            source.close()


def fault(answers: Mapping[str, Prepared], how: Access | None = None) -> str:
    """What is said of a search, and the same of one trace; no half of an answer comes first."""
    with jaeger(answers, how) as (source, _server):
        with pytest.raises(SourceError) as one:
            source.trace(MADE.trace_id)
        with pytest.raises(SourceError) as caught:
            source.traces()
        assert one.value.exit_code == caught.value.exit_code == 3
        assert source.url in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)


def everywhere(answer: Prepared) -> dict[str, Prepared]:
    return {"/": answer}


def in_traces(answer: Prepared) -> dict[str, Prepared]:
    return {"/api/v3/services": Prepared(SERVICES), "/api/v3/traces": answer}


def test_a_whole_answer() -> None:
    with jaeger(GOOD) as (source, _server):
        (trace,) = source.traces().traces
        assert trace.spans == tuple(traces_of(MADE))
        assert source.trace(MADE.trace_id)[0].spans == trace.spans
        assert not source.is_empty()


def traces_of(made: traces.Tracer) -> list[Any]:
    from gentrace.core.spans import traces as grouped

    return [span for trace in grouped(made.spans) for span in trace.spans]


@pytest.mark.parametrize("between", ["", "\n", " \r\n\n "])
def test_an_answer_in_pieces_is_one_trace(between: str) -> None:
    pieces = [json.dumps({"result": traces.request(span)}) for span in MADE.spans]
    whole = between.join(pieces) + between
    with jaeger(in_traces(Prepared(whole))) as (source, _server):
        (trace,) = source.traces().traces
        assert {s.span_id for s in trace.spans} == {s.span_id for s in MADE.spans}


def test_404_is_none() -> None:
    for missing in (Prepared(NONE_FOUND, 404), Prepared(NONE_FOUND), Prepared("{}")):
        with jaeger(in_traces(missing)) as (source, _server):
            assert source.trace(MADE.trace_id) == []
            assert source.traces().traces == []
            assert source.by_generation("28").traces == []


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (everywhere(Prepared(PAGE, kind="text/html")), "query service"),
        (in_traces(Prepared(PAGE, kind="text/html")), "page (HTML)"),
        ({}, "HTTP 404"),
        (everywhere(Prepared("denied", 401, "text/plain")), "--header"),
        (everywhere(Prepared("denied", 403, "text/plain")), "HTTP 403"),
        (everywhere(Prepared(PAGE, 500, "text/html")), "HTTP 500"),
        (in_traces(Prepared('{"error":{"message":"disk full"}}', 500)), "disk full"),
        (in_traces(Prepared('{"error":{"message":"bad"}}', 400)), "bad"),
        (everywhere(Prepared("", 302, headers={"Location": "http://x/login?a=b"})), "log in"),
        (in_traces(Prepared(SPANS[:-40])), "cut off"),
        (in_traces(Prepared(SPANS + SPANS[:90])), "cut off"),
        (in_traces(Prepared(SPANS, promised=len(SPANS) + 9)), "cut off"),
        (everywhere(Prepared(SERVICES[:-5])), "cut off"),
        (in_traces(Prepared(SPANS + '{"error":{"message":"storage gone"}}')), "storage gone"),
        (in_traces(Prepared("[]")), "not Jaeger's"),
        (in_traces(Prepared('{"result":{"spans":[]}}')), "not Jaeger's"),
        (in_traces(Prepared("")), "cut off"),
        (everywhere(Prepared('{"status":"ok"}')), "not Jaeger's"),
        (everywhere(Prepared("ok", kind="text/plain")), "not from"),
    ],
)
def test_a_bad_answer_is_one_clear_fault(answers: dict[str, Prepared], said: str) -> None:
    assert said in fault(answers)


@pytest.mark.parametrize("hanging", ["/", "/api/v3/traces"])
def test_silence_has_an_end(hanging: str) -> None:
    answers = {**GOOD, hanging: Prepared(hangs=True), f"/api/v3/traces/{MADE.trace_id}": Prepared(
        hangs=True
    )}  # fmt: skip
    said = fault(answers if hanging != "/" else {"/": answers["/"]}, Access(timeout_s=0.3))
    assert "did not answer in time" in said
    assert "GENTRACE_SOURCE_TIMEOUT" in said


def _trickling_headers(to: BufferedIOBase, over: Event) -> None:
    """A byte of a header at a time, never long enough silent to run into a time-out."""
    to.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while not over.wait(0.05):
        to.write(b"a")


def _trickling_body(to: BufferedIOBase, over: Event) -> None:
    to.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
    while not over.wait(0.05):
        to.write(b" ")


def _endless_body(to: BufferedIOBase, over: Event) -> None:
    to.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
    while not over.is_set():
        to.write(b" " * 2**16)


def _bomb(layers: int) -> Callable[[BufferedIOBase, Event], None]:
    """Some kilobytes that become 32 MiB; in layers, a few bytes that do."""

    def answer(to: BufferedIOBase, _over: Event) -> None:
        body = b"[" + b" " * 2**25
        for _ in range(layers):
            body = gzip.compress(body, 1)
        encodings = ", ".join(["gzip"] * layers)
        to.write(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encodings}\r\n".encode())
        to.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_trickling_headers, "did not answer in time"),
        (_trickling_body, "did not answer in time"),
        (_endless_body, "larger than 8 MiB"),
        (_bomb(1), "larger than 8 MiB"),
        (_bomb(2), "Content-Encoding"),
    ],
)
def test_an_answer_has_a_deadline_and_a_bound(
    answer: Callable[[BufferedIOBase, Event], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_MOST_BYTES", 8 * 1024**2)
    answers = {**GOOD, "/api/v3/traces": Prepared(by_hand=answer)}
    del answers[f"/api/v3/traces/{MADE.trace_id}"]
    assert said in fault(answers, Access(timeout_s=0.2 if "time" in said else 30))


def test_nobody_listens() -> None:
    (port,) = free_ports(1)
    for url in (f"http://{HOST}:{port}", f"https://{HOST}:{port}/jaeger"):
        source = Jaeger(url)
        with pytest.raises(SourceError, match="cannot be reached"):
            source.is_empty()
        source.close()


def test_https_where_http_is_spoken() -> None:
    with answering(GOOD) as server:
        source = Jaeger(server.url.replace("http:", "https:"))
        with pytest.raises(SourceError, match="TLS"):
            source.is_empty()
        source.close()


def test_headers_go_with_each_request_and_are_not_said() -> None:
    env = {"GENTRACE_SOURCE_HEADERS": "authorization=Basic%20abc,X-Scope-OrgID=one"}
    how = access(env, ["Authorization=Bearer s3cret=="])
    with jaeger(GOOD, how) as (source, server):
        source.traces()
        for _path, headers in server.asked:
            assert (headers["authorization"], headers["x-scope-orgid"]) == (
                "Bearer s3cret==", "one",
            )  # fmt: skip
    assert "s3cret" not in fault(everywhere(Prepared("no", 401, "text/plain")), how)
    for wrong in ("secret", "=secret", "a b=secret", "a=secret\r\nb: c"):
        with pytest.raises(UsageError) as caught:
            access({}, [wrong])
        assert "secret" not in str(caught.value)
    with pytest.raises(UsageError, match="TIMEOUT"):
        access({"GENTRACE_SOURCE_TIMEOUT": "soon"})


def test_the_base_path_is_kept_and_a_password_is_not_said() -> None:
    with answering({"/jaeger" + path: answer for path, answer in GOOD.items()}) as server:
        source = Jaeger(server.url.replace("//", "//me:pass@") + "/jaeger", profile="pixsim7")
        assert source.traces().traces
        assert source.description == f"Jaeger {server.url}/jaeger"
        assert server.asked[0][1]["authorization"].startswith("Basic ")
        source.close()
    for given in ("", "/", "/search?service=x&a=b", "/trace/abc", "/api/v3", "/api/traces"):
        assert base_url(f"http://h:1/jaeger{given}", "--source") == "http://h:1/jaeger"
    for wrong in ("http://", "localhost:16686", "http://h:0", "http://h:1/a b"):
        with pytest.raises(SourceError, match="was expected"):
            base_url(wrong, "--source")


def test_which_services_are_searched() -> None:
    names = ["billing", "billing-runs", "pixsim7-api", "pixsim7-runs", "renamed", "shop"]
    operations = {"renamed": ["generation"], "shop": ["GET /", "generate"]}

    def of(path: str) -> str:
        service = parse_qs(urlsplit(path).query)["service"][0]
        return json.dumps({"operations": [{"name": n} for n in operations.get(service, [])]})

    answers = {
        "/api/v3/services": Prepared(json.dumps({"services": names})),
        "/api/v3/operations": Prepared(of),
        "/api/v3/traces": Prepared(NONE_FOUND, 404),
    }
    with jaeger(answers, service="billing") as (source, _server):
        ours = ["billing", "billing-runs", "pixsim7-api", "pixsim7-runs", "renamed"]
        assert source.services == ours
    with answering(answers) as server:
        source = Jaeger(server.url)
        assert source.services == ["renamed"]
        source.close()
    answers["/api/v3/services"] = Prepared(json.dumps({"services": ["shop"]}))
    with jaeger(answers) as (source, _server):
        assert source.is_empty()
        assert "other services (shop)" in source.notes[0]


def test_a_jaeger_that_filters_by_itself_is_asked_by_api_v3() -> None:
    """As Jaeger 2.19 and newer do, where API v1 may be gone: there a page answers for it."""

    def found(path: str) -> str:
        query = parse_qs(urlsplit(path).query)
        asked = json.loads(query["query.attributes"][0])
        return SPANS if asked == {"generation.id": "28"} else "{}"

    answers = {**GOOD, "/": Prepared(PAGE, kind="text/html"), "/api/v3/traces": Prepared(found)}
    refusal = '{"error":{"httpCode":400,"message":"malformed parameter query.attributes: x"}}'

    with answering(answers) as server:
        source = Jaeger(server.url, profile="pixsim7")
        server.answers["/api/v3/traces"] = Prepared(refusal, 400)
        assert source._api.filters == "v3"
        server.answers["/api/v3/traces"] = Prepared(found)
        assert [t.trace_id for t in source.by_generation("28").traces] == [MADE.trace_id]
        assert source.by_generation("29").traces == []
        source.close()


def test_where_no_api_filters_all_is_read_and_looked_through() -> None:
    other = json.dumps({"result": traces.request(*traces.failed().spans)})
    with jaeger({**GOOD, "/api/v3/traces": Prepared(SPANS + other)}) as (source, _server):
        assert source._api.filters == ""
        assert [t.trace_id for t in source.by_generation("28").traces] == [MADE.trace_id]


def test_what_jaeger_holds_back_is_said() -> None:
    spans = [*MADE.spans]
    request = traces.request(*spans)
    warning = "trace has more than 10 spans, showing first 10 spans only"
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] += traces.pairs(
        {"@jaeger@warnings": [warning]}
    )
    answers = {**GOOD, f"/api/v3/traces/{MADE.trace_id}": Prepared(json.dumps(request))}
    with jaeger(answers) as (source, _server):
        (trace,) = source.trace(MADE.trace_id)
        assert warning in source.notes[0]
        assert not any("@jaeger@warnings" in span.attributes for span in trace.spans)


@pytest.mark.parametrize("odd", [10**400, -1, float("inf"), "soon", None])
def test_a_time_that_cannot_be_costs_its_span_in_api_v1(odd: object) -> None:
    span = {"traceID": MADE.trace_id, "operationName": "x", "startTime": 5, "duration": 1,
            "process": {"serviceName": "pixsim7-api"}}  # fmt: skip
    spans = [{**span, "spanID": "1"}, {**span, "spanID": "2", "startTime": odd},
             {**span, "spanID": "3", "logs": [{"timestamp": odd}]}]  # fmt: skip
    v1 = json.dumps({"data": [{"traceID": MADE.trace_id, "spans": spans, "processes": {}}]})
    answers = {"/api/services": Prepared('{"data":["pixsim7-api"]}'), "/api/traces": Prepared(v1)}
    with jaeger(answers) as (source, _server):
        (trace,) = source.trace(MADE.trace_id)
        assert [span.span_id for span in trace.spans] == [f"{1:016x}"]
        assert "2 damaged spans in Jaeger's answers" in source.notes[0]


def test_a_span_that_cannot_be_understood_is_said() -> None:
    request = traces.request(*MADE.spans)
    request["resourceSpans"][3]["scopeSpans"][0]["spans"][0]["traceId"] = "?"
    answers = {**GOOD, f"/api/v3/traces/{MADE.trace_id}": Prepared(json.dumps(request))}
    with jaeger(answers) as (source, _server):
        assert len(source.trace(MADE.trace_id)[0].spans) == len(MADE.spans) - 1
        assert "1 damaged span in Jaeger's answers" in source.notes[0]
