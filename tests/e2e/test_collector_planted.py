"""Private words of a host whose scrubbing is switched off do not pass the Collector."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from tests.e2e.test_collector import before_redaction, in_jaeger, jaeger_traces, poll
from tests.e2e.test_planted import OWN, PRIVATE, WORDS, _live
from tests.support import collector_files
from tests.support.otlp_receiver import receiver
from tests.support.small_host import FOLDER, small_host
from tools import servers


@pytest.mark.service("collector")
@pytest.mark.service("jaeger")
def test_no_private_word_passes(anything_failed: Callable[[], bool]) -> None:
    bodies: list[bytes] = []
    with (
        receiver() as received,
        servers.jaeger(anything_failed) as jaeger,
        servers.collector(
            anything_failed, jaeger=jaeger, settings=before_redaction(received)
        ) as collector,
    ):
        receive = received.receive
        received.receive = lambda body: bodies.append(body) or receive(body)
        env = {
            "GENTRACE": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp_http,
            "AUTO_RETRY_ENABLED": "false",
            "PLANTED": json.dumps(WORDS),
            "PYTHONPATH": os.pathsep.join([str(FOLDER), str(OWN)]),
        }
        with small_host(env, api=False, workers=0, failed=anything_failed) as host:
            host.wait_ready()
            _live(host, lambda: b"".join(bodies), "unscrubbed")
        sent = b"".join(bodies)
        kept = collector_files.by_id(collector_files.spans(collector.traces))
        poll(lambda: in_jaeger(jaeger) >= kept.keys(), every_s=0.5)
        folder = collector.traces.parent
        places = {
            "jaeger": json.dumps(jaeger_traces(jaeger)).encode(),
            **{str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()},
        }
    assert {"marmaladefactory", "mailsecret"} <= {w for w in PRIVATE if w.encode() in sent}
    assert len(kept) > 50
    leaks = [(w, place) for place, text in places.items() for w in PRIVATE if w.encode() in text]
    assert leaks == []
