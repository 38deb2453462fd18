"""Which machine a resource names, whatever lies where its id should be."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator
from pathlib import Path

import pytest

from gentrace.core import profile, settings
from gentrace.core.run.events import OpenSpan
from gentrace.core.run.run import Run
from gentrace.core.scrub import Scrubber
from gentrace.runtime import machine
from gentrace.runtime.process import Process
from gentrace.runtime.store.run_spans import stand_in

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def afresh() -> Generator[None]:
    machine.attributes.cache_clear()
    yield
    machine.attributes.cache_clear()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first of two places of the machine's id."""
    first, second = tmp_path / "machine-id", tmp_path / "of-dbus"
    monkeypatch.setattr(machine, "_FILES", (str(first), str(second)))
    return first


def of_process(**environ: str) -> dict[str, object]:
    made = Process(profile.load()[0], settings.read(environ)).resource().attributes
    return {name: made[name] for name in made if name.startswith("host.")}


def test_the_resource_names_the_machine(file: Path) -> None:
    file.write_text(f"{ID}\n")
    assert of_process() == {"host.name": platform.node(), "host.id": ID}


def test_the_runs_spans_are_of_the_same_machine(file: Path) -> None:
    file.write_text(ID)
    one = Process(profile.load()[0], settings.read({}))
    theirs = dict(one.runs_resource().attributes)
    assert theirs.pop("service.name") == "pixsim7-runs"
    own = dict(one.resource().attributes)
    assert own.pop("service.name") == "pixsim7"
    assert theirs == own


def test_what_the_variables_say_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(ID)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=node-7,host.id=pod")
    assert of_process() == {"host.name": "node-7", "host.id": "pod"}


def test_without_an_id_the_name_alone(file: Path) -> None:
    assert of_process() == {"host.name": platform.node()}


@pytest.mark.parametrize("text", ["", "uninitialized\n", "not an id", "\x00\xff", "a" * 10_000])
def test_what_is_no_id_is_passed_over(file: Path, text: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    file.with_name("of-dbus").write_text(ID)
    assert of_process()["host.id"] == ID


def test_a_pipe_in_its_place_keeps_nobody_waiting(file: Path) -> None:
    os.mkfifo(file)
    assert of_process() == {"host.name": platform.node()}


def test_a_folder_in_its_place(file: Path) -> None:
    file.mkdir()
    assert of_process() == {"host.name": platform.node()}


def test_it_may_leave_the_process(file: Path) -> None:
    scrubber = Scrubber(b"key")
    for name, value in (("host.name", "node-7"), ("host.id", ID)):
        assert scrubber.attribute(name, value) == value


def test_a_span_in_a_dead_process_place_names_that_ones_machine() -> None:
    machines = {"host.name": "another", "host.id": ID}
    left = OpenSpan("ab", "job", "", 5, 0, "gone", service="pixsim7-worker", host=machines)
    written = stand_in("7", Run(1, "cd" * 16), left, 9).resource.attributes
    assert {name: written[name] for name in machines} == machines
    again = OpenSpan.of({name: getattr(left, name) for name in OpenSpan.__slots__})
    assert again.host == machines


def test_an_older_version_told_of_no_machine() -> None:
    left = OpenSpan.of({
        "span_id": "ab", "name": "job", "parent": "", "start_ns": 5, "kind": 0,
        "instance": "gone", "service": "pixsim7-worker",
    })  # fmt: skip
    written = stand_in("7", Run(1, "cd" * 16), left, 9).resource.attributes
    assert [name for name in written if name.startswith("host.")] == []
