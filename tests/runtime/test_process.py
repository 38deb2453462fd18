"""Who a process is: one role, one start line, one identity, renewed after a fork."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from gentrace.core import profile, settings
from gentrace.runtime import process
from gentrace.runtime.process import Process


def make(**environment: str) -> Process:
    return Process(profile.load()[0], settings.read(environment))


def test_the_first_role_stays_and_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    one, told = make(), list[str]()
    one.on_role.append(lambda: told.append(one.role))
    assert one.service_name() == "pixsim7"
    one.become(process.API)
    one.become(process.WORKER, "arq:queue")
    assert (one.role, one.queue, told) == ("api", "arq:queue", ["api"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gentrace: ")
    assert "tracing as pixsim7-api" in line


def test_the_environment_names_the_service() -> None:
    one = make(OTEL_SERVICE_NAME="mine")
    one.become(process.WORKER)
    assert one.service_name() == "mine"


@pytest.mark.parametrize(
    ("environ", "runs"),
    [
        ({}, "pixsim7-runs"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine-runs"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours"}, "ours-runs"),
    ],
)
@pytest.mark.parametrize("role", [process.API, process.WORKER])
def test_the_runs_are_a_service_of_their_own(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], runs: str, role: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    one = make(**environ)
    assert one.runs_resource().attributes["service.name"] == runs
    one.become(role)
    made = one.runs_resource().attributes
    assert made["service.name"] == runs
    assert made["service.instance.id"] == one.instance
    assert one.resource().attributes["service.name"] != runs


def test_the_resource_follows_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    one = make()
    assert one.resource().attributes["service.name"] == "pixsim7"
    one.become(process.WORKER)
    made = one.resource().attributes
    assert made["service.name"] == "pixsim7-worker"
    assert made["service.instance.id"] == one.instance
    assert made["process.pid"] == os.getpid()
    assert made["deployment.environment"] == "test"
    assert one.resource() is one.resource()


def test_a_forked_child_is_another_instance() -> None:
    one = make()
    before = one.instance, one.resource()
    one.renew()
    assert one.instance != before[0]
    assert one.resource().attributes["service.instance.id"] == one.instance


def test_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    one = make()
    one.become(process.WORKER, "arq:queue")
    rows: list[dict[str, Any]] = [{"name": "t", "state": "patched"}]
    record = one.record(rows)
    assert record["targets"] == rows
    assert (record["pid"], record["python"], record["alive"]) == (os.getpid(), sys.executable, True)
    assert (record["service"], record["queue"]) == ("pixsim7-worker", "arq:queue")
    assert one.record([], ended=True)["alive"] is False

    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)
    assert one.record([])["cwd"] == ""
