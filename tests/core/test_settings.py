"""The environment as the runtime reads it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert (read.compression, read.export_timeout_s, read.problems) == ("none", 10.0, ())


def read(**env: str) -> settings.Settings:
    return settings.read({"GENTRACE_SPOOL": "s", **env})


NUMBERS = (
    "GENTRACE_SPOOL_MAX_MB",
    "GENTRACE_SPOOL_MAX_DAYS",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["soon", "-1", "0", "1.5", "1e3", "9" * 30, "9" * 5000, "\n"])
def test_a_number_that_cannot_be_meant_is_the_default(name: str, value: str) -> None:
    given = read(**{name: value})
    assert dataclasses.replace(given, problems=()) == read()
    if value.strip():
        (problem,) = given.problems
        assert problem.startswith(f"{name}=")
        assert len(problem) < 200
        assert "\n" not in problem
    else:
        assert given.problems == ()


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_with_space_around_it_is_one(name: str) -> None:
    assert read(**{name: " 3 "}) == read(**{name: "3"})
    assert read(**{name: "3"}).problems == ()


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5.0), ("0.5", 0.5), ("10000", 30.0), ("", 10.0)]
)
def test_how_long_an_export_may_take(value: str, seconds: float) -> None:
    given = read(OTEL_EXPORTER_OTLP_TIMEOUT=value)
    assert (given.export_timeout_s, given.problems) == (seconds, ())


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_out_that_cannot_be_meant(value: str) -> None:
    given = read(OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=value)
    assert given.export_timeout_s == 10.0
    assert "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=" in given.problems[0]


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        ("http://localhost:4318", ""),
        ("https://collector", ""),
        ("http://[::1]:4318/base", ""),
        ("http://bob:builder@host:1", ""),
        ("localhost:4317", "grpc"),
        ("collector", "grpc"),
        ("unix:///run/otlp.sock", "grpc"),
        ("https://collector:4317", "grpc"),
    ],
)
def test_an_endpoint(given: str, protocol: str) -> None:
    told = read(OTEL_EXPORTER_OTLP_ENDPOINT=given, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert (told.endpoint, told.problems) == (given, ())
    assert "builder" not in told.shown_endpoint


@pytest.mark.parametrize(
    "given",
    ["localhost:4318", "foo", "http://", "http://h:99999", "http://h:port", "http://a b:1", "http://[",
     "ftp://host", "//host:1", "http://h:0", "/v1/traces"],
)  # fmt: skip
def test_an_endpoint_that_is_no_address(given: str) -> None:
    told = read(OTEL_EXPORTER_OTLP_ENDPOINT=given)
    assert told.endpoint == ""
    (problem,) = told.problems
    assert "spans go to the spool" in problem
    assert ("did you mean http://localhost:4318?" in problem) is (given == "localhost:4318")


@pytest.mark.parametrize("url", ["ftp://bob:secret@host/?key=secret", "bob:secret@host:4318"])
def test_no_secret_is_in_a_problem(url: str) -> None:
    told = read(
        OTEL_EXPORTER_OTLP_ENDPOINT=url,
        OTEL_EXPORTER_OTLP_HEADERS="secret,a=b",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="secret",
    )
    assert len(told.problems) == 3
    assert "secret" not in "".join(told.problems)


@pytest.mark.parametrize(
    ("env", "problems"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, 0),
        ({"OTEL_TRACES_SAMPLER": "TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, 0),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, 1),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, 1),
        ({"OTEL_TRACES_SAMPLER_ARG": "many"}, 0),
        ({"OTEL_TRACES_SAMPLER": "sometimes"}, 1),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b, c=d=e,"}, 0),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,c,d"}, 1),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=b,c=d"}, 0),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "GZip"}, 0),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"}, 1),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, 1),
        ({"GENTRACE_SQL": "OFF"}, 0),
        ({"GENTRACE_SQL": "some"}, 1),
    ],
)
def test_words_and_pairs(env: dict[str, str], problems: int) -> None:
    assert len(read(**env).problems) == problems


@given(st.text(max_size=80), st.sampled_from(["", "grpc"]))
def test_no_endpoint_raises(text: str, protocol: str) -> None:
    told = read(OTEL_EXPORTER_OTLP_ENDPOINT=text, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    assert bool(told.endpoint) + bool(told.problems) == bool(text.strip())
    assert not [p for p in told.problems if len(p.splitlines()) > 1]


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


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({}, ""),
        ({"GENTRACE_ENVIRONMENT": "staging"}, "staging"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b,deployment.environment.name=pre%20prod"}, "pre-prod"),
        (
            {
                "GENTRACE_ENVIRONMENT": "x",
                "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=y",
            },
            "x",
        ),
    ],
)
def test_the_environments_name(env: dict[str, str], name: str) -> None:
    assert settings.read(env).environment == name
