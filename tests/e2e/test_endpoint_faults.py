"""The endpoint misbehaves: the host serves on, says so in one line, and ends in time.

Real processes, API and worker, one fault for each way in which an end may be kept waiting. What
each answer comes to in the exporter is tests/runtime/export/test_endpoint.py's matter.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest

from gentrace.sources import processes
from tests.e2e import reading
from tests.e2e.faults import WHOLE, in_time, one_line_each, run_and_stop, whole_in_the_spool
from tests.support import bad_endpoint as bad
from tests.support.bad_endpoint import PROTOBUF, answers, bad_endpoint
from tests.support.otlp_receiver import Behaviour, receiver
from tests.support.small_host import SmallHost, small_host
from tools import servers

GRPC = "grpc"

Endpoint = Callable[[], AbstractContextManager[str]]


def closed() -> AbstractContextManager[str]:
    """Nobody listens there."""
    return nullcontext(f"{servers.HOST}:{servers.free_ports(1)[0]}")


def stranger(behave: bad.Behave) -> Endpoint:
    return lambda: bad_endpoint(behave)


def collector(behaviour: Behaviour, port: str = "http") -> Endpoint:
    """A receiver, at its port for HTTP or gRPC."""

    @contextmanager
    def running() -> Generator[str]:
        with receiver() as received, received.behaving(behaviour):
            at = received.grpc_endpoint if port == GRPC else received.http_endpoint
            yield at.removeprefix("http://")

    return running


class Fault(NamedTuple):
    """An endpoint that does not do its work, and what is said of it."""

    endpoint: Endpoint
    said: str
    protocol: str = "http/protobuf"
    scheme: str = "http://"
    env: Mapping[str, str] = {}


LATER = ("503 no", b"", PROTOBUF, "Retry-After: 3600")
FAULTS = {
    "closed": Fault(closed, "(Connection refused)"),
    "never accepts": Fault(bad.never_accepts, "(no answer"),
    "hangs": Fault(collector("hang"), "(no answer"),
    "resets": Fault(stranger(bad.resets), "spans could not be sent"),
    "refuses": Fault(collector("refuse"), "(HTTP 500 Internal Server Error)"),
    "comes back later": Fault(stranger(answers(*LATER)), "(HTTP 503 Service Unavailable)"),
    "never ends": Fault(stranger(bad.never_ends), "("),
    "TLS to a plain port": Fault(stranger(answers("400 no")), "SSL", scheme="https://"),
    "closed, grpc": Fault(closed, "(", GRPC),
    "refuses, grpc": Fault(collector("refuse", GRPC), "(", GRPC),
    "hangs, grpc": Fault(collector("hang", GRPC), "(", GRPC),
    "nonsense, grpc": Fault(collector("nonsense", GRPC), "(gRPC INTERNAL)", GRPC),
}


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts API and worker."""
    with small_host(api=False, workers=0, failed=anything_failed) as running:
        yield running


@pytest.fixture(scope="module")
def without(host: SmallHost) -> list[float]:
    """The seconds that API and worker take to end without gentrace."""
    took, programs, _ = run_and_stop(host, {})
    assert [program.said() for program in programs] == [[], []]
    return took


@pytest.mark.parametrize("name", FAULTS)
def test_the_host_serves_on_and_ends_in_time(
    host: SmallHost, without: list[float], name: str, tmp_path: Path
) -> None:
    fault, spool = FAULTS[name], tmp_path / "spool"
    with fault.endpoint() as address:
        endpoint = f"{fault.scheme}{address}"
        env = {
            "GENTRACE": "1",
            "GENTRACE_SPOOL": str(spool),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": fault.protocol,
            **fault.env,
        }
        took, programs, generation_id = run_and_stop(host, env)
    in_time(took, without)
    for line in one_line_each(programs):
        assert line.startswith(f"gentrace: spans could not be sent to {endpoint} (")
        assert fault.said in line
        assert f"they go to the spool {spool} instead" in line
    whole_in_the_spool(spool, generation_id)


def test_ctrl_c_is_in_time_too(host: SmallHost, without: list[float], tmp_path: Path) -> None:
    """There the interpreter exits by itself, after the host's own end: two chances to wait."""
    spool = tmp_path / "spool"
    with receiver() as received, received.behaving("hang"):
        env = {
            "GENTRACE": "1",
            "GENTRACE_SPOOL": str(spool),
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint,
        }
        took, programs, generation_id = run_and_stop(host, env, signal.SIGINT)
    in_time(took, without)
    one_line_each(programs)
    whole_in_the_spool(spool, generation_id)


@pytest.mark.parametrize("protocol", ["http/protobuf", GRPC])
def test_spans_that_are_rejected_are_counted(
    host: SmallHost, protocol: str, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    with receiver() as received, received.behaving("reject"):
        env = {
            "GENTRACE": "1",
            "GENTRACE_SPOOL": str(spool),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": (
                received.grpc_endpoint if protocol == GRPC else received.http_endpoint
            ),
        }
        with host.running(env) as programs:
            assert host.run()["status"] == "completed"
        batches = received.requests
    assert batches >= 2
    for program in programs:
        start, first, *counted = program.said()
        assert "tracing as" in start
        assert "rejected 1 of the spans sent to it" in first
        # said by an exit that runs to its end: uvicorn's is cut short by the signal
        assert [line.split(maxsplit=2)[2] for line in counted] in (
            [],
            ["spans could not be written"],
        )
    records = processes.read(spool)
    assert len(records) == 2
    assert sum(int(record.text("spans_lost")) for record in records) > 0


def test_an_endpoint_that_comes_back_is_used_again(host: SmallHost, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with receiver() as received:
        env = {
            "GENTRACE": "1",
            "GENTRACE_SPOOL": str(spool),
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint,
        }
        with host.running(env) as programs:
            with received.behaving("refuse"):
                first = str(host.run()["id"])
                programs[0].wait_until(
                    lambda: reading.complete([first], WHOLE)(reading.spooled(spool)),
                    "its spans are in the spool",
                )
            second = str(host.run()["id"])
            received.wait_for(reading.complete([second], WHOLE))
        one_line_each(programs)
        assert second not in reading.trace_ids(reading.spooled(spool))


def test_no_password_is_said(host: SmallHost, tmp_path: Path) -> None:
    address = f"{servers.HOST}:{servers.free_ports(1)[0]}"
    env = {
        "GENTRACE": "1",
        "GENTRACE_SPOOL": str(tmp_path / "spool"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://bob:builder@{address}/?key=builder",
        "OTEL_EXPORTER_OTLP_HEADERS": "builder",
    }
    with host.running(env) as programs:
        assert host.run()["status"] == "completed"
    for program in programs:
        text = program.text()
        assert "builder" not in text
        assert f"spans go to http://{address}/" in text
