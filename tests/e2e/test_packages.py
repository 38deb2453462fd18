"""What is installed: the wheel and an editable install carry the switch, and it works there."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.programs import BIN, ROOT, clean_environment
from tests.support.small_host import FOLDER

PTH, START = "gentrace.pth", "gentrace.start"
LIBRARIES = sysconfig.get_paths()["purelib"]
WHAT_RUNS = """
import sys
import pixsim7.backend.main.main
import gentrace
from gentrace.runtime import startup
print(gentrace.__file__)
print(startup.session() is not None)
"""


def run(
    command: Sequence[str], home: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it in a clean environment; it must end well."""
    done = programs.run(command, home, env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a new environment with the wheel and nothing else."""
    home = tmp_path_factory.mktemp("environment")
    folder = home / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], home)
    programs = folder / BIN.name
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python")]
    quietly = ["--no-deps", "--no-index", "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", *quietly, str(wheel)], home)
    return programs


def _site_packages(programs: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(run([str(programs / "python"), "-c", code], programs).stdout.strip())


def test_the_wheel_has_the_switch_at_its_root(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in (PTH, START):
            assert archive.read(name) == (ROOT / name).read_bytes()
        assert "gentrace/profiles/pixsim7.toml" in archive.namelist()
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gentrace", PTH, START}


def test_an_editable_install_has_it_too(tmp_path: Path) -> None:
    code = f"from hatchling.build import build_editable; print(build_editable({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=300, check=True)
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        for name in (PTH, START):
            assert archive.read(name) == (ROOT / name).read_bytes()


def test_python_3_15_calls_what_the_start_file_names(installed: Path, tmp_path: Path) -> None:
    """It reads such a file in place of the .pth's import line; an older one may read both."""
    lines = [line.strip() for line in (ROOT / START).read_text(encoding="utf-8").splitlines()]
    (entry,) = [line for line in lines if line and not line.startswith("#")]
    assert re.fullmatch(r"[\w.]+:[\w.]+", entry)
    call = f"import pkgutil, sys; pkgutil.resolve_name({entry!r})()"
    seen = "print(*(n for n in sys.modules if n.partition('.')[0] == 'gentrace'))"
    python = str(installed / "python")
    for options in ([], ["-I", "-S"]):  # without site the .pth is not read
        sees = f"import sys; sys.path.append({str(_site_packages(installed))!r}); {call}; {seen}"
        off = run([python, *options, "-c", sees], tmp_path).stdout.split()
        on = run([python, *options, "-c", sees], tmp_path, {"GENTRACE": "1"}).stdout.split()
        assert off == []
        assert "gentrace.runtime.startup" in on
    once = f"{call}; {call}; print(sum(type(f).__name__ == '_Trigger' for f in sys.meta_path))"
    assert run([python, "-c", once], tmp_path, {"GENTRACE": "1"}).stdout == "1\n"


def test_an_installed_wheel_switches_on(installed: Path, tmp_path: Path) -> None:
    python = [str(installed / "python"), "-c", WHAT_RUNS]
    env = {"PYTHONPATH": f"{FOLDER}:{LIBRARIES}", "GENTRACE_SPOOL": str(tmp_path / "spool")}
    file, hooked = run(python, tmp_path, {**env, "GENTRACE": "1"}).stdout.split()
    assert Path(file).is_relative_to(installed.parent)
    assert hooked == "True"
    assert run(python, tmp_path, env).stdout.split()[1] == "False"


def test_without_its_dependencies_it_says_one_line_and_the_host_runs(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "pixsim7").mkdir()
    (tmp_path / "pixsim7" / "__init__.py").touch()
    for package in ("backend", "backend/main"):
        (tmp_path / "pixsim7" / package).mkdir()
        (tmp_path / "pixsim7" / package / "__init__.py").touch()
    code = "import pixsim7.backend.main; print('the host runs')"
    python = [str(installed / "python"), "-c", code]
    for env in ({}, {"GENTRACE_SPOOL": str(tmp_path / "spool")}):
        done = run(python, tmp_path, {**env, "GENTRACE": "1"})
        assert done.stdout == "the host runs\n"
        (said,) = done.stderr.splitlines()
        assert said.startswith("gentrace: ")
        assert "the host runs without tracing" in said


def test_exec_needs_the_standard_library_only(installed: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTEL_SERVICE_NAME='mine'\nOTHER=1\nGENTRACE_SQL=off\n")
    shown = ["GENTRACE", "OTEL_SERVICE_NAME", "GENTRACE_SQL", "OTHER"]
    code = f"import os; print([os.environ.get(name) for name in {shown}])"
    command = [str(installed / "gentrace"), "exec", "--", sys.executable, "-I", "-c", code]
    done = run(command, tmp_path)
    assert done.stdout == "['1', 'mine', 'off', None]\n"


def test_exec_gives_the_commands_exit_code_and_says_what_it_cannot_run(
    installed: Path, tmp_path: Path
) -> None:
    def code(*command: str) -> int:
        return subprocess.run(
            [str(installed / "gentrace"), "exec", *command],
            env=clean_environment(tmp_path),
            capture_output=True,
            timeout=300,
            check=False,
        ).returncode

    assert code("--", sys.executable, "-I", "-c", "raise SystemExit(7)") == 7
    assert code("--", "no-such-command-anywhere") == 127
    assert code("--", str(tmp_path)) == 126
    assert code() == 2


def test_commands_that_need_more_say_what_to_install(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(installed / "gentrace"), "list"],
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'gentrace[cli]'" in done.stderr
