"""Requests on one connection: each begins on its own, whatever ran on the connection before.

A server starts the task of the next request, where it has arrived by then, within the context of
the one that is being answered. So these are sent at once.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import reading
from tests.support.otlp_receiver import OtlpReceiver, Span
from tests.support.small_host import ROUTE, SmallHost, small_host
from tools.servers import HOST

CLIENTS = 6
CONNECTIONS = 20


@dataclass(frozen=True)
class Answer:
    """An answer: its status and body."""

    status: int
    body: Any


def get(path: str) -> bytes:
    """A request that the profile does not name; its session is closed once it is answered."""
    return f"GET {path} HTTP/1.1\r\nhost: api\r\n\r\n".encode()


def post(prompt: str) -> bytes:
    """A request for a generation."""
    config = {"generationType": "text_to_video", "prompt": prompt, "style": {}}
    body = json.dumps({"provider_id": "pixverse", "config": config, "force_new": True}).encode()
    head = f"POST {ROUTE} HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\n"
    return head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body


def on_one_connection(host: SmallHost, requests: Sequence[bytes]) -> list[Answer]:
    """Send all at once; their answers."""
    port = int(host.url.rpartition(":")[2])
    with socket.create_connection((HOST, port), timeout=60) as connection:
        connection.sendall(b"".join(requests))
        stream = connection.makefile("rb")
        return [_answer(stream) for _ in requests]


def _answer(stream: Any) -> Answer:
    status = int(stream.readline().split()[1])
    length = 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return Answer(status, json.loads(stream.read(length)))


def ids(answers: Sequence[Answer]) -> list[str]:
    """The generations that these made."""
    assert {answer.status for answer in answers} <= {200, 201}
    return [str(answer.body["id"]) for answer in answers if answer.status == 201]


@pytest.fixture(scope="module")
def host(received: OtlpReceiver, anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """An API; no worker runs what is asked of it."""
    env = {"GENTRACE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
    with small_host(env, workers=0, failed=anything_failed) as running:
        yield running


def check(spans: list[Span], made: Sequence[str]) -> None:
    """Each generation has a trace of its own, whose root is its request."""
    found = reading.trace_ids(spans)
    assert {g: len(found[g]) for g in made} == dict.fromkeys(made, 1)
    assert len({next(iter(found[g])) for g in made}) == len(made)
    for generation_id in made:
        trace = reading.of_generation(spans, generation_id)
        (root,) = reading.roots(trace)
        assert (root["name"], root["kind"]) == (reading.SERVER_SPAN, "SERVER")
        assert root["attributes"]["generation.id"] == generation_id
        assert root["links"] == []
        assert reading.names(trace) >= reading.OF_THE_API
        assert reading.orphans(trace) == []
        assert {s["attributes"].get("gentrace.caller") for s in trace} == {None}


@pytest.mark.parametrize("first", ["GET", "POST"])
def test_a_request_that_follows_another_at_once(
    host: SmallHost, received: OtlpReceiver, first: str
) -> None:
    known = get(f"{ROUTE}/{host.submit()}")
    received.clear()
    made: list[str] = []
    for number in range(CONNECTIONS):
        before = known if first == "GET" else post(f"first {number}")
        made += ids(on_one_connection(host, [before, post(f"number {number}"), known]))
    assert len(made) == CONNECTIONS * (1 if first == "GET" else 2)
    received.wait_for(reading.complete(made, reading.OF_THE_API))
    check(received.spans(), made)
