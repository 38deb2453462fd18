"""Private words, planted wherever a host may let them out, are in nothing that gentrace writes.

What it writes is taken raw: the spool's files, the OTLP requests, each command on a key of ours in
Redis (MONITOR), what it says on stderr.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.support.otlp_receiver import receiver
from tests.support.programs import BIN
from tests.support.small_host import FOLDER, ROUTE, SmallHost, small_host
from tests.support.waiting import PATIENCE_S
from tools.servers import HOST

OWN = Path(__file__).parent / "planted_host"
PROMPT = "marmaladefactory below a velvetastronomer"
MAIL = "who.asked@mailsecret.example"
WORDS = {
    "prompt": PROMPT,
    "mail": MAIL,
    "token": "tok3n-urlsecret-0123456789",
    "parameter": "parametersecret",
    "message": "messagesecret",
}
NEGATIVE = "gargoylesinrain"
PRIVATE = [
    *("marmaladefactory", "velvetastronomer", NEGATIVE, "who.asked", "mailsecret", "urlsecret"),
    *("parametersecret", "messagesecret"),
    *("pixverse1@example.com", "jwt-pixverse", "headersecret", "namesecret", "routesecret"),
]
# What a Collector alone cannot tell from an id or a name: only gentrace takes it out.
MORE = {"key": "AIzaSyPlantedkey-0123456789abcdefghijk", "named": "refreshsecret0123"}
PRIVATE_MORE = [
    *("Plantedkey", "refreshsecret", "resourcesecret", "Marmaladefactory", "Velvetastronomer"),
]
RESOURCE = f"team=video,db_password=resourcesecret,owner={MAIL.replace('@', '%40')}"
ENDS = {"": "completed", "SAID": "failed", "INTEGRITY": "failed", "BADPROMPT": "failed"}


@dataclass
class Written:
    """Everything that gentrace wrote, raw, by where it was written."""

    places: dict[str, bytes] = field(default_factory=dict[str, bytes])
    monitored: list[bytes] = field(default_factory=list[bytes])

    @contextmanager
    def monitor(self, port: int) -> Generator[None]:
        """Keep every command that Redis is given in the meantime."""
        connection = socket.create_connection((HOST, port), timeout=10)

        def read() -> None:
            while piece := connection.recv(65536):
                self.monitored.append(piece)

        connection.sendall(b"MONITOR\r\n")
        connection.settimeout(None)
        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            connection.close()
            lines = b"".join(self.monitored).split(b"\r\n")
            self.places["redis"] = b"\n".join(line for line in lines if b'"gentrace:' in line)


@pytest.fixture(scope="module", params=["spool", "otlp", "slow sql"])
def written(request: pytest.FixtureRequest, anything_failed: Callable[[], bool]) -> Written:
    """What one host left behind after a generation of each kind."""
    env = {
        "GENTRACE": "1",
        "AUTO_RETRY_ENABLED": "false",
        "PLANTED": json.dumps(WORDS | MORE),
        "OTEL_RESOURCE_ATTRIBUTES": RESOURCE,
        "PYTHONPATH": os.pathsep.join([str(FOLDER), str(OWN)]),
        **({"GENTRACE_SQL": "slow"} if request.param == "slow sql" else {}),
    }
    seen, bodies = Written(), list[bytes]()
    with receiver() as received:
        receive = received.receive
        received.receive = lambda body: bodies.append(body) or receive(body)
        if request.param == "otlp":
            env["OTEL_EXPORTER_OTLP_ENDPOINT"] = received.http_endpoint
        with small_host(env, api=False, workers=0, failed=anything_failed) as host:
            host.wait_ready()
            with seen.monitor(host.redis.port):
                _live(host, lambda: b"".join(bodies))
            files = [path for path in host.spool.rglob("*") if path.is_file()]
            for kind in ("spans", "runs", "processes"):
                found = [path.read_bytes() for path in files if path.name.startswith(kind)]
                seen.places[kind] = b"".join(found)
            seen.places["otlp"] = b"".join(bodies)
            seen.places["said"] = "\n".join(s for p in host.programs for s in p.said()).encode()
    if request.param != "otlp":
        del seen.places["otlp"]
    else:
        del seen.places["spans"], seen.places["runs"]
    return seen


def _live(host: SmallHost, exported: Callable[[], bytes], module: str = "planted") -> None:
    """A generation of each kind, and requests of others' concern."""
    host.start_api(command=(str(BIN / "uvicorn"), f"{module}:app"))
    host.start_worker(command=(str(BIN / "arq"), f"{module}.WorkerSettings"))
    host.wait_ready()
    headers = {"authorization": "Bearer headersecret-012345", "cookie": "session=headersecret"}
    ids: list[tuple[str, str]] = []
    with httpx.Client(base_url=host.url, headers=headers, timeout=300, trust_env=False) as http:
        for word, end in ENDS.items():
            prompt = f"{PROMPT} {MAIL} {word}"
            config = {
                "generationType": "text_to_video",
                "prompt": prompt,
                "negative_prompt": NEGATIVE,
                "style": {"pixverse": {"model": "v5", "negative_prompt": NEGATIVE}},
            }
            body = {"config": config, "name": "namesecret", "force_new": True}
            url = f"{ROUTE}?token={WORDS['token']}&mail={MAIL}"
            answer = http.post(url, json=body)
            assert answer.status_code == 201, answer.text
            ids.append((str(answer.json()["id"]), end))
        http.post(f"{ROUTE}?token={WORDS['token']}", json={"config": {"generationType": PROMPT}})
        http.get(f"/planted/{MAIL}?token=routesecret-012345")
    for generation_id, end in ids:
        host.wait_status(generation_id, end)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:  # until each run's span is out
        raw = exported() + b"".join(path.read_bytes() for path in host.spool.glob("runs-*"))
        if raw.count(b"generation.outcome") >= len(ids):
            break
        time.sleep(0.05)
    for program in (host.api, *host.workers):
        program.stop()


@pytest.mark.parametrize("private", PRIVATE + PRIVATE_MORE)
def test_no_private_word_is_written(written: Written, private: str) -> None:
    word = private.encode()
    found = {place: raw.count(word) for place, raw in written.places.items() if word in raw}
    where = [
        raw[max(0, raw.index(word) - 300) : raw.index(word) + 100]
        for place, raw in written.places.items()
        if place in found
    ]
    assert not found, where


def test_there_was_something_to_see(written: Written) -> None:
    """What stands in their place, and that each kind of record was written at all."""
    assert all(len(raw) > 200 for place, raw in written.places.items() if place != "said")
    assert b"gentrace:" in written.places["said"]
    assert b"gentrace:pixsim7:run:" in written.places["redis"]
    assert b"gentrace:pixsim7:process:" in written.places["redis"]
    spans = written.places.get("spans", b"") + written.places.get("otlp", b"")
    for mark in (
        b"<prompt:",
        b"<email:",
        b"<key:",
        b"<secret:",
        b"<query:",
        b"<token:",
        b"<sql:",
        b"<message:",
    ):
        assert mark in spans, mark


def test_each_process_said_that_it_ends(written: Written) -> None:
    """Also the API: uvicorn ends by the signal that stopped it, and nothing runs at its exit."""
    lines = written.places["redis"].splitlines()
    left = [line for line in lines if b'"ZREM" "gentrace:pixsim7:processes"' in line]
    assert len({line.rsplit(b'"', 2)[-2] for line in left}) == 2
