"""Variables that cannot be meant: one line each in API and worker, the default, and the host on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.e2e.faults import one_line_each, raised_elsewhere, said, spooled_whole
from tests.support.small_host import SmallHost, small_host

NONSENSE = {
    "GENTRACE_SPOOL_MAX_MB": "lots",
    "GENTRACE_SPOOL_MAX_DAYS": "-1",
    "GENTRACE_SQL": "some",
    "OTEL_BSP_SCHEDULE_DELAY": "9" * 30,
    "OTEL_BSP_MAX_QUEUE_SIZE": "0",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1e3",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "zip",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "soon",
    "OTEL_EXPORTER_OTLP_HEADERS": "a-key-of-mine",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test,more",
    "OTEL_TRACES_SAMPLER": "sometimes",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "-1",
}


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts API and worker."""
    with small_host(api=False, workers=0, failed=anything_failed) as running:
        yield running


def test_each_is_said_once_and_left_out(host: SmallHost, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with host.running({"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), **NONSENSE}) as programs:
        spooled_whole(spool, str(host.run()["id"]), programs[0])
    for program in programs:
        lines = said(program)
        for name in NONSENSE:
            assert len([line for line in lines if name in line]) == 1, (name, lines)
        assert len(lines) == len(NONSENSE)
        assert "a-key-of-mine" not in program.text()
        assert f"spans go to the spool {spool}" in program.said()[0]


def test_one_that_keeps_the_sdk_from_being_imported(host: SmallHost, tmp_path: Path) -> None:
    env = {
        "GENTRACE": "1",
        "GENTRACE_SPOOL": str(tmp_path / "spool"),
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many",
    }
    with host.running(env) as programs:
        assert host.run()["status"] == "completed"
    for program in programs:
        assert len(program.said()) == 1
        raised_elsewhere(program)


def test_a_certificate_that_is_not_there(host: SmallHost, tmp_path: Path) -> None:
    """gRPC's exporter would log that with a traceback, and go on without."""
    env = {
        "GENTRACE": "1",
        "GENTRACE_SPOOL": str(tmp_path / "spool"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "nowhere.pem"),
    }
    with host.running(env) as programs:
        assert host.run()["status"] == "completed"
    for line in one_line_each(programs):
        assert "spans could not be sent to https://127.0.0.1:1 (" in line


def test_switched_off_by_opentelemetrys_own_variables(host: SmallHost, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "HOME": str(tmp_path)}
    programs = [
        host.start_api({**env, "OTEL_SDK_DISABLED": "true"}),
        host.start_worker({**env, "OTEL_TRACES_EXPORTER": "none"}),
    ]
    try:
        host.wait_ready()
        assert host.run()["status"] == "completed"
    finally:
        for program in programs:
            program.stop()
    assert [program.said() for program in programs] == [[], []]
    assert list(tmp_path.iterdir()) == []
