"""Where Python reads no ``.pth``: ``gentrace exec`` switches on all the same; doctor says so."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.small_host import FOLDER

LIBRARIES = sysconfig.get_paths()["purelib"]
WHAT_RUNS = """
import sys
import pixsim7.backend.main.main
from gentrace.runtime import startup
import gentrace
print(gentrace.__file__)
print(startup.session() is not None)
print([path for path in sys.path if "exec_path" in path])
"""


@pytest.fixture(scope="module")
def target(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install --target` makes of the wheel."""
    home = tmp_path_factory.mktemp("target")
    folder = home / "installed"
    quietly = ["--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
    done = programs.run(
        [sys.executable, "-m", "pip", "install", *quietly, "--target", str(folder), str(wheel)],
        home,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python whose own folders hold nothing of ours; the libraries are on PYTHONPATH."""
    folder = tmp_path_factory.mktemp("python") / "venv"
    done = programs.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder.parent)
    assert done.returncode == 0, done.stderr
    return str(folder / programs.BIN.name / "python")


Run = Callable[..., list[str]]


@pytest.fixture
def run(target: Path, python: str, tmp_path: Path) -> Run:
    """Runs that Python with the installed folder on PYTHONPATH; the lines that it printed."""

    def run(*command: str, exits: int = 0, first: str = "", **env: str) -> list[str]:
        listed = [path for path in (first, str(target), str(FOLDER), LIBRARIES) if path]
        given = {"PYTHONPATH": os.pathsep.join(listed), "GENTRACE_SPOOL": str(tmp_path / "spool")}
        done = programs.run([python, *command], tmp_path, {**given, **env})
        assert done.returncode == exits, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


def through_exec(target: Path, python: str) -> list[str]:
    """The command that pip has put beside what it installed."""
    return [str(target / "bin" / "gentrace"), "exec", "--", python]


def test_the_switch_alone_does_nothing_and_exec_does(run: Run, target: Path, python: str) -> None:
    loaded = "import sys, pixsim7.backend.main; print('gentrace' in sys.modules)"
    assert run("-c", loaded, GENTRACE="1") == ["False"]
    file, hooked, left = run(*through_exec(target, python), "-c", WHAT_RUNS)
    assert Path(file).is_relative_to(target)
    assert (hooked, left) == ("True", "[]")


def test_a_process_that_a_process_starts_is_switched_on_too(
    run: Run, target: Path, python: str
) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WHAT_RUNS!r}])"
    assert run(*through_exec(target, python), "-c", code)[1] == "True"


def test_a_hosts_own_sitecustomize_has_its_turn(
    run: Run, target: Path, python: str, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nsys.theirs = __file__\nVALUE = 7\n")
    code = "import sys, sitecustomize as s; print(sys.theirs, s.__file__, s.VALUE)"
    bare = run("-c", code, first=str(own))
    assert run(*through_exec(target, python), "-c", code, first=str(own)) == bare
    assert bare == [" ".join([str(own / "sitecustomize.py")] * 2) + " 7"]


def test_an_error_in_it_is_told_as_without_us(
    run: Run, target: Path, python: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('theirs')\n")
    told = "import sys; print('sitecustomize' in sys.modules)"
    bare = run("-c", told, first=str(tmp_path))
    assert run(*through_exec(target, python), "-c", told, first=str(tmp_path)) == bare


def test_a_python_without_it_runs_as_ever(run: Run, target: Path, python: str) -> None:
    """`gentrace exec` stands in an environment of its own; the command's Python has no gentrace."""
    code = "import os, sys; os.environ['PYTHONPATH'] = os.environ['PYTHONPATH'].split(':')[0]; "
    code += "os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])"
    assert run(*through_exec(target, python), "-c", code) == ["1"]


def test_doctor_says_where_it_lies_and_what_to_do(run: Run, target: Path) -> None:
    found = json.loads(
        "\n".join(run(str(target / "bin" / "gentrace"), "doctor", "--json", exits=1))
    )
    (problem,) = [one for one in found["problems"] if one["code"] == "switch_not_read"]
    assert f"{target / 'gentrace.pth'} is not read" in problem["summary"]
    assert "gentrace exec -- CMD" in problem["fix"]


def test_doctor_of_an_ordinary_install_has_nothing_to_say(tmp_path: Path) -> None:
    gentrace = str(programs.BIN / "gentrace")
    done = programs.run([gentrace, "doctor", "--json"], tmp_path)
    found = json.loads(done.stdout)
    assert [one["code"] for one in found["problems"]] == ["nothing_seen"]
