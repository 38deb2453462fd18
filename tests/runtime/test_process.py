"""Who a process is: one role, one start line, one identity, renewed after a fork."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from gentrace.core import profile, settings
from gentrace.core.scrub import Scrubber
from gentrace.runtime import notices, process
from gentrace.runtime.export.scrubbing import clean_record
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


SECRETS = {
    "OTEL_RESOURCE_ATTRIBUTES": "db_password=hunterwolf92,team=video,owner=alice%40wonder.example,"
    "note=Bearer%20Zq7hunterwolf,key=AIzaSyA1234567890abcdefghijk,alice@wonder.example=x",
    "OTEL_SERVICE_NAME": "video-sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "GENTRACE_SQL": "Bearer Zq7hunterwolf",
}
PLANTED = ("hunterwolf", "alice", "AIzaSyA", "4eC39Hq")


def test_what_the_environment_names_is_checked_as_all_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen before: all of it in the resource of each span, the record and the start line."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    scrubber = Scrubber(b"the installation's key")
    one = make(**SECRETS)
    one.shown = scrubber.of_resource
    monkeypatch.setattr(notices, "shown", scrubber.line)
    one.become(process.API)
    resource = dict(one.resource().attributes)
    said = capsys.readouterr().err
    told = f"{resource} {clean_record(one.record([]), scrubber)} {said} {one.shown_name()}"
    assert [word for word in PLANTED if word in told] == []
    assert resource["team"] == "video"
    assert str(resource["service.name"]).startswith("video-<key:")
    assert one.service_name() == resource["service.name"]
    assert "Bearer <token:" in said
    assert resource["process.pid"] == os.getpid()
