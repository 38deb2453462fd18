"""The environment as the runtime reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gentrace.core import settings, switch


@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_on(value: str) -> None:
    assert switch.switched_on({"GENTRACE": value})


@pytest.mark.parametrize("value", ["", "0", "false", "off", "no", "2"])
def test_off(value: str) -> None:
    assert not switch.switched_on({"GENTRACE": value})
    assert not switch.switched_on({})


def test_defaults(tmp_path: Path) -> None:
    read = settings.read({"GENTRACE_SPOOL": str(tmp_path)})
    assert read.profile == "pixsim7"
    assert read.spool == tmp_path
    assert (read.endpoint, read.protocol, read.sql) == ("", "http/protobuf", "spans")
    assert read.schedule_delay_ms == 1000
    assert read.spool_max_bytes == 256 * 1024 * 1024


def test_what_cannot_be_meant_is_the_default() -> None:
    read = settings.read(
        {"GENTRACE_SPOOL": "s", "OTEL_BSP_SCHEDULE_DELAY": "soon", "GENTRACE_SPOOL_MAX_MB": "-1"}
    )
    assert read.schedule_delay_ms == 1000
    assert read.spool_max_bytes == 256 * 1024 * 1024


def test_the_signals_own_variables_win() -> None:
    read = settings.read(
        {
            "GENTRACE_SPOOL": "s",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:4317",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        }
    )
    assert (read.endpoint, read.protocol) == ("http://b:4317", "grpc")


@pytest.mark.parametrize("env", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_export_off(env: dict[str, str]) -> None:
    assert switch.export_off(env)
    assert not switch.export_off({})
