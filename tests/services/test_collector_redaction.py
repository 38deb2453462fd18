"""The Collector's redaction is a second line: it holds where nothing was scrubbed before it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support import collector_files
from tests.support.otlp_receiver import Span
from tests.support.unscrubbed import PROMPT, a_span, pairs, send
from tests.support.waiting import PATIENCE_S
from tools.servers import CollectorServer, JaegerServer

FOREIGN = "雨中的灯塔"
PRIVATE = {
    "prompt": PROMPT,
    "prompt in a path": "/media/a%20marmaladefactory",
    "prompt of another language": FOREIGN,
    "e-mail": "who.asked@mailsecret.example",
    "bearer": "Bearer headersecret0123456789",
    "key": "sk-keysecret0123456789abcdef",
    "JWT": "eyJhbGciOiJ.eyJqd3RzZWNyZXQ.c2lnbmVk",
    "long key": "c0ffee" * 8,
    "password": "password=passwordsecret",
    "setting": '"api_key": "settingsecret"',
    "URL": "https://cdn.example/media.mp4?signature=querysecret",
    "database": "postgresql://bob:urlsecret@db.example/host",
    "key of a service": "AIzaSyservicesecret-0123456789abcdef",
    "name that ends so": "refresh_token=refreshsecret",
    "e-mail, quoted": "quoted.mail%40quotedsecret.example",
    "second cookie": "cookie: a=1; b=cookiesecret",
    "bot": "/bot123456:AAbotsecret0123/get",
    "SQL": "SELECT id FROM users WHERE name = 'literalsecret'",
}
WORDS = [
    *("marmaladefactory", "velvetastronomer", FOREIGN, "who.asked", "mailsecret", "headersecret"),
    *("keysecret", "eyJqd3RzZWNyZXQ", "c0ffee", "passwordsecret", "settingsecret", "querysecret"),
    *("urlsecret", "literalsecret", "onewordsecret"),
    *("servicesecret", "refreshsecret", "quotedsecret", "cookiesecret", "botsecret"),
]
OPEN = ("generation.error.code", "generation.job.reason", "error.type", "http.route")
IDS = ("generation.provider.job_id", "generation.hash", "generation.code.version")
"""Where forty hexadecimal digits are an id and no key."""


def kept(collector: CollectorServer, trace_id: str, wanted: int) -> list[Span]:
    """The trace in the Collector's file, once it is whole there."""
    found = [s for s in collector_files.spans(collector.traces) if s["trace_id"] == trace_id]
    assert len(found) == wanted  # written before the answer
    return found


def poll(ask: Callable[[], Any], timeout: float = PATIENCE_S) -> Any:
    """Ask until the answer is not empty."""
    end = time.monotonic() + timeout
    while not (answer := ask()):
        assert time.monotonic() < end, f"still {answer!r} after {timeout} s"
        time.sleep(0.05)
    return answer


def in_jaeger(jaeger: JaegerServer, trace_id: str, wanted: int) -> list[str]:
    """What Jaeger's APIs, the old one and v3, answer about the trace once it is whole there."""

    def ask() -> list[str]:
        answers = [
            httpx.get(f"{jaeger.url}{path}/{trace_id}", trust_env=False)
            for path in ("/api/traces", "/api/v3/traces")
        ]
        whole = answers[0].is_success and len(answers[0].json()["data"][0]["spans"]) == wanted
        return [answer.text for answer in answers] if whole else []

    return poll(ask)


def planted(trace_id: str) -> list[dict[str, Any]]:
    """Spans with every private text in every place; those with links are refused."""
    spans: list[dict[str, Any]] = []
    for kind, text in PRIVATE.items():
        everywhere = {
            **dict.fromkeys(OPEN, text),
            "prompt": text,
            "gentrace.packages": ["a==1", text],
            **({} if kind == "long key" else dict.fromkeys(IDS, text)),
            "db.statement": text,
            "db.query.text": text,
            "http.url": f"https://bob:urlsecret@cdn.example/x?{text}",
            "url.full": f"https://cdn.example/x#{text}",
            "http.target": f"/x?prompt={text}",
            "url.query": text,
        }
        event = {
            "timeUnixNano": str(time.time_ns()),
            "name": text,
            "attributes": pairs(
                exception__message=text, exception__stacktrace=text, error=text, prompt=text
            ),
        }
        told = {"timeUnixNano": event["timeUnixNano"], "name": "told"}
        told["attributes"] = pairs(exception__message="onewordsecret", error="onewordsecret")
        more = {
            "attributes": pairs(**everywhere),
            "events": [event, told],
            "status": {"code": 2, "message": "onewordsecret" if kind == "prompt" else text},
        }
        link = {"traceId": trace_id, "spanId": "0" * 15 + "1", "attributes": pairs(why=text)}
        spans += [a_span(text, trace_id, **more), a_span("linked", trace_id, links=[link])]
    return spans


def test_nothing_private_passes_though_nothing_was_scrubbed(
    collector_server: CollectorServer, jaeger_server: JaegerServer
) -> None:
    trace_id, operation = uuid4().hex, f"op{uuid4().hex[:8]}"
    run = {
        "generation.outcome": "failed",
        "generation.operation": operation,
        "generation.model": PROMPT,
        "generation.provider": PRIVATE["e-mail"],
    }
    spans = [*planted(trace_id), a_span("generation", trace_id, attributes=pairs(**run))]
    resource = {f"user{n}": text for n, text in enumerate(PRIVATE.values())}
    send(collector_server, spans, **resource, host__name=PRIVATE["e-mail"])

    wanted = len(PRIVATE) + 1
    found = kept(collector_server, trace_id, wanted)
    by = {"generation_operation": operation}
    poll(lambda: collector_files.counts(collector_server, by) == {"failed": 1})
    places = {
        "spans": json.dumps(found, ensure_ascii=False),
        "jaeger": "\n".join(in_jaeger(jaeger_server, trace_id, wanted)),
        "log": collector_server.log.read_text(),
        "metrics": httpx.get(collector_server.prometheus, trust_env=False).text,
        "own metrics": httpx.get(collector_server.telemetry, trust_env=False).text,
        **{path.name: path.read_text("utf-8", "replace") for path in files(collector_server)},
    }
    assert "exporter_otlp_grpc_jaeger_traces" in places
    escaped = [*WORDS, json.dumps(FOREIGN).strip('"')]
    leaks = [(place, word) for place, text in places.items() for word in escaped if word in text]
    assert leaks == []


def files(collector: CollectorServer) -> list[Any]:
    """All that it has written, its queue on disk too."""
    return [path for path in collector.traces.parent.rglob("*") if path.is_file()]


def test_what_gentrace_would_not_scrub_passes_unchanged(collector_server: CollectorServer) -> None:
    trace_id = uuid4().hex
    attributes = {
        "generation.id": "1234",
        "generation.hash": "0123456789abcdef" * 4,
        "generation.code.version": "deadbeef" * 5 + "+dirty",
        "generation.provider.job_id": "0123456789abcdef" * 4,
        "generation.tries": 2,
        "gentrace.processes": ["a1b2", "c3d4"],
        "gentrace.packages": ["PyJWT==2.8.0", "token==1"],
        "gentrace.targets.patched": ["pixsim7.backend.token:Token.get"],
        "db.statement": "SELECT generations",
        "http.url": "https://cdn.example/media/1.mp4",
        "server.address": "127.0.0.1",
        "messaging.message.id": uuid4().hex,
    }
    names = ["POST /api/v1/generations", "enqueue process_generation", "SELECT host.db", "POST"]
    send(
        collector_server,
        [a_span(name, trace_id, attributes=pairs(**attributes)) for name in names],
        service__instance__id="a1b2",
    )
    found = kept(collector_server, trace_id, len(names))
    assert [span["name"] for span in found] == names
    assert [span["attributes"] for span in found] == [attributes] * len(names)
    assert found[0]["resource"] == {"service.name": "redaction", "service.instance.id": "a1b2"}


def test_texts_pass_where_gentrace_vouches_for_them(collector_server: CollectorServer) -> None:
    trace_id = uuid4().hex
    marks = "<prompt:12:0123abcd> Bearer <token:20:0123abcd> token=<secret:8:0123abcd>"
    text = f"refused: {marks} https://<user:9:0123abcd>@cdn.example/a?<query:5:0123abcd>"
    event = {
        "timeUnixNano": str(time.time_ns()),
        "name": "generation not retryable",
        "attributes": pairs(error=text, exception__message="<message:8:0123abcd>"),
    }
    link = {"traceId": trace_id, "spanId": "0" * 15 + "1", "attributes": []}
    vouched = pairs(gentrace__scrubbed=True, generation__job__reason=text)
    one = {"attributes": vouched, "events": [event], "links": [link]}
    send(
        collector_server,
        [a_span("a name of words", trace_id, **one, status={"code": 2, "message": text})],
    )
    (span,) = kept(collector_server, trace_id, 1)
    assert span["name"] == "a name of words"
    assert span["status"] == {"code": "ERROR", "message": text}
    assert span["attributes"] == {"gentrace.scrubbed": True, "generation.job.reason": text}
    assert span["events"][0]["name"] == "generation not retryable"
    assert span["events"][0]["attributes"] == {
        "error": text,
        "exception.message": "<message:8:0123abcd>",
    }
    assert len(span["links"]) == 1


@pytest.mark.parametrize("vouched", [True, False])
def test_patterns_are_masked_even_then(collector_server: CollectorServer, vouched: bool) -> None:
    trace_id = uuid4().hex
    text = "said who.asked@mailsecret.example with sk-keysecret0123456789"
    status = {"code": 2, "message": text}
    attributes = pairs(gentrace__scrubbed=vouched, generation__job__reason=text)
    send(collector_server, [a_span(text, trace_id, attributes=attributes, status=status)])
    (span,) = kept(collector_server, trace_id, 1)
    shown = "said **** with ****" if vouched else "****"
    assert span["name"] == span["status"]["message"] == shown
    assert span["attributes"]["generation.job.reason"] == shown
