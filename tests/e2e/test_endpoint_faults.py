"""The endpoint misbehaves: the host serves on, its spans are in the spool, and it ends in time."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e import reading
from tests.support.otlp_receiver import Behaviour, receiver
from tests.support.programs import stop_together
from tests.support.small_host import SmallHost, small_host
from tools import servers

LONGER_S = 3.0  # how much longer the end of a process may take than without gentrace
WHOLE = reading.OF_THE_API | reading.OF_THE_WORKER


class Fault(NamedTuple):
    """An endpoint that does not do its work; no behaviour: nobody listens."""

    protocol: str
    behaviour: Behaviour | None
    answers_well: bool = False


FAULTS = {
    "closed": Fault("http/protobuf", None),
    "refuses": Fault("http/protobuf", "refuse"),
    "hangs": Fault("http/protobuf", "hang"),
    "nonsense": Fault("http/protobuf", "nonsense", answers_well=True),
    "closed, grpc": Fault("grpc", None),
    "refuses, grpc": Fault("grpc", "refuse"),
    "hangs, grpc": Fault("grpc", "hang"),
    "nonsense, grpc": Fault("grpc", "nonsense"),
}


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts API and worker."""
    with small_host(api=False, workers=0, failed=anything_failed) as running:
        yield running


def run_and_stop(
    host: SmallHost, env: Mapping[str, str], how: signal.Signals = signal.SIGTERM
) -> tuple[list[float], list[list[str]], str]:
    """A generation, then an end at once: the seconds of each process, what it said, the id."""
    with host.running(env) as programs:
        generation = host.run()
        assert generation["status"] == "completed"
        took = stop_together(programs, how)
    return took, [program.said() for program in programs], str(generation["id"])


@pytest.fixture(scope="module")
def without(host: SmallHost) -> list[float]:
    """The seconds that API and worker take to end without gentrace."""
    took, said, _ = run_and_stop(host, {})
    assert said == [[], []]
    return took


@pytest.mark.parametrize("name", FAULTS)
def test_the_host_serves_on_and_ends_in_time(
    host: SmallHost, without: list[float], name: str, tmp_path: Path
) -> None:
    fault = FAULTS[name]
    with ExitStack() as stack:
        if fault.behaviour is None:
            endpoint = f"http://{servers.HOST}:{servers.free_ports(1)[0]}"
        else:
            received = stack.enter_context(receiver())
            stack.enter_context(received.behaving(fault.behaviour))
            grpc = fault.protocol == "grpc"
            endpoint = received.grpc_endpoint if grpc else received.http_endpoint
        env = {
            "GENTRACE": "1",
            "GENTRACE_SPOOL": str(tmp_path / "spool"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": fault.protocol,
        }
        took, said, generation_id = run_and_stop(host, env)
    for seconds, usual in zip(took, without, strict=True):
        assert seconds - usual < LONGER_S
    for lines in said:
        assert "tracing as" in lines[0]
        assert len(lines) == (1 if fault.answers_well else 2), lines
        if not fault.answers_well:
            assert endpoint in lines[1]
            assert "spool" in lines[1]
    if not fault.answers_well:  # else they count as sent
        spans = reading.of_generation(reading.spooled(tmp_path / "spool"), generation_id)
        assert reading.complete([generation_id], WHOLE)(spans)
        assert len(reading.roots(spans)) == 1


def test_ctrl_c_is_in_time_too(host: SmallHost, without: list[float], tmp_path: Path) -> None:
    """There the interpreter exits by itself, after the host's own end: two chances to wait."""
    spool = tmp_path / "spool"
    with receiver() as received, received.behaving("hang"):
        env = {
            "GENTRACE": "1",
            "GENTRACE_SPOOL": str(spool),
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint,
        }
        took, said, generation_id = run_and_stop(host, env, signal.SIGINT)
    for seconds, usual in zip(took, without, strict=True):
        assert seconds - usual < LONGER_S
    assert [len(lines) for lines in said] == [2, 2]
    spans = reading.of_generation(reading.spooled(spool), generation_id)
    assert reading.complete([generation_id], WHOLE)(spans)
