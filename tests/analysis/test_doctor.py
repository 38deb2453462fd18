"""Doctor's diagnoses of the processes that left a record."""

from __future__ import annotations

from typing import Any

from gentrace.analysis import doctor
from gentrace.sources.processes import ProcessRecord


def process(role: str, alive: bool = True, **record: Any) -> ProcessRecord:
    return ProcessRecord(alive, {"role": role, "instance": role, **record})


def target(state: str, name: str = "create") -> dict[str, Any]:
    return {"name": name, "role": "create", "state": state, "file": None}


def codes(*processes: ProcessRecord) -> list[str]:
    return [problem.code for problem in doctor.of_processes(processes).problems]


def test_all_is_well() -> None:
    found = doctor.of_processes([process("api"), process("worker")])
    assert (found.problems, found.exit_code) == ((), 0)


def test_what_does_not_run() -> None:
    assert codes() == ["nothing_seen"]
    assert codes(process("api"), process("worker", alive=False, last_seen="x")) == ["no_worker"]
    assert doctor.of_processes([process("api")]).exit_code == 1


def test_the_best_state_of_a_target_counts() -> None:
    found = doctor.of_processes(
        [
            process("api", targets=[target("patched"), target("absent", "job")]),
            process("worker", targets=[target("absent"), target("missing", "job")]),
        ]
    )
    assert {row["name"]: row["state"] for row in found.targets} == {
        "create": "patched",
        "job": "missing",
    }
    assert [problem.code for problem in found.problems] == ["target_missing"]


def test_a_late_target_is_a_remark_and_two_copies_of_the_host_are_a_problem() -> None:
    late = [target("late")]
    assert doctor.of_processes([process("api", targets=late), process("worker")]).exit_code == 0
    assert codes(process("api", package_file="/a"), process("worker", package_file="/b")) == [
        "package_differs"
    ]
