"""Doctor's diagnoses: of a checkout, and of the processes that left a record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gentrace.analysis import doctor
from gentrace.core import profile, targets
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


def test_what_was_lost_is_a_remark() -> None:
    lossy = process("api", pid=7, spans_lost=0, changes_lost=3, changes_too_late=1)
    found = doctor.of_processes([lossy, process("worker", spans_lost="many")])
    (problem,) = found.problems
    assert (problem.code, problem.serious, found.exit_code) == ("data_lost", False, 0)
    assert problem.summary == (
        "the api process 7 lost 3 changes of runs that Redis did not take, "
        "1 changes of runs that came after their span was written"
    )


def test_a_library_whose_version_was_refused_is_named_and_no_other() -> None:
    told = {
        "httpx": "refused: HTTPX 0.1 is too old",
        "sqlalchemy": "hooked",
        "fastapi": "instrumented by the host",
    }
    api = process("api", pid=7, libraries=told)
    found = doctor.of_processes([api, process("worker", libraries=["odd"])])
    (problem,) = found.problems
    assert (problem.code, problem.serious, found.exit_code) == ("library_refused", False, 0)
    assert problem.summary == "httpx is not traced in the api process 7: HTTPX 0.1 is too old"


def test_a_library_whose_extra_is_not_installed_is_named_with_it() -> None:
    told = {"aiohttp": "its instrumentation is not installed: pip install 'gentrace[aiohttp]'"}
    both = [process("api", pid=7, libraries=told), process("worker")]
    (problem,) = doctor.of_processes(both).problems
    assert (problem.code, problem.serious) == ("library_not_traced", False)
    assert problem.fix == "pip install 'gentrace[aiohttp]'"


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


def of_host(root: Path, label: str, optional: str, **files: str) -> doctor.Diagnosis:
    """A checkout with one target, ``m:C.f``, and these modules."""
    loaded, _ = profile.parse(
        'name = "shop"\npackages = ["app"]\n[[targets]]\nname = "x"\nrole = "status"\n'
        f'at = [".m:C.f"]\nread = {{ id = ["args.id"] }}\n{optional}',
        "shop.toml",
    )
    (root / "app").mkdir(exist_ok=True)
    for name, text in files.items():
        (root / "app" / f"{name}.py").write_text(text)
    return doctor.of_host(loaded, targets.inspect(loaded, f"{label}={root}"))


def test_a_required_target_that_is_not_there(tmp_path: Path) -> None:
    found = of_host(tmp_path, "x", "", m="class D:\n    def f(self): ...\n")
    (problem,) = found.problems
    assert (problem.code, problem.serious, found.exit_code) == ("target_missing", True, 1)
    assert problem.summary == (
        "x (status) is nowhere: looked for app.m:C.f (C: nowhere in this checkout; "
        "f stands at app/m.py:2; app/m.py has no C.f); did you mean app.m:D.f?"
    )
    assert 'extends = "shop"' in problem.fix
    assert found.targets[0]["state"] == "missing"


def test_an_optional_target_is_missed_at_a_revision_of_its_time(tmp_path: Path) -> None:
    dated = 'optional = true\nsince = "2026-02-01"\nuntil = "2026-05-01"'
    for label, reason, codes in (
        ("2026-01-31", "comes with 2026-02-01; C, f: nowhere in this checkout", []),
        ("2026-05-02", "gone since 2026-05-01; C, f: nowhere in this checkout", []),
        ("2026-02-01", "C, f: nowhere in this checkout", ["target_gone"]),
        ("undated", "C, f: nowhere in this checkout", []),
    ):
        found = of_host(tmp_path, label, dated, other="")
        assert found.targets[0]["state"] == "absent"
        assert found.targets[0]["reason"] == reason
        assert [problem.code for problem in found.problems] == codes
        assert found.exit_code == 0


def test_an_argument_that_is_not_there_is_a_remark(tmp_path: Path) -> None:
    found = of_host(tmp_path, "x", "", m="class C:\n    def f(self, name): ...\n")
    assert [(p.code, p.serious) for p in found.problems] == [("target_mismatch", False)]
    assert (found.targets[0]["state"], found.exit_code) == ("resolved", 0)


def test_a_file_that_this_python_cannot_parse(tmp_path: Path) -> None:
    found = of_host(tmp_path, "x", "optional = true", m="class C:\n    def f(:\n")
    assert found.exit_code == 1
    assert [problem.code for problem in found.problems] == ["file_unreadable"]
    this = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    assert f"app/m.py is no Python that {this} can parse: SyntaxError" in found.problems[0].summary
