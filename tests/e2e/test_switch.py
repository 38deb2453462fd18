"""The switch: without it nothing is there, and with it only the host's processes change."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.programs import BIN, run
from tests.support.small_host import FOLDER

PYTHON = sys.executable
GENTRACE = str(BIN / "gentrace")
TRACERS = ("gentrace", "opentelemetry", "wrapt")
STARTS_WITH = {
    "gentrace",
    "gentrace.core",
    "gentrace.core.regular_files",
    "gentrace.core.switch",
    "gentrace.runtime",
    "gentrace.runtime.notices",
    "gentrace.runtime.startup",
}
"""What the switch imports at the interpreter's start, beside a little standard library."""
NOT_AT_START = {
    *("asyncio", "concurrent", "email", "http", "importlib.metadata", "json", "logging"),
    *("multiprocessing", "queue", "socket", "sqlite3", "ssl", "subprocess", "threading"),
}
UNTOUCHED: dict[str, Sequence[str]] = {
    "print": [PYTHON, "-c", "print(1)"],
    "pip --version": [PYTHON, "-m", "pip", "--version"],
    "pip list": [PYTHON, "-m", "pip", "--disable-pip-version-check", "list"],
    "pytest --version": [PYTHON, "-m", "pytest", "--version"],
    "gentrace list": [GENTRACE, "list"],
    "gentrace list --json": [GENTRACE, "list", "--json"],
    "gentrace --version": [GENTRACE, "--version"],
    "an error": [PYTHON, "-c", "raise SystemExit(3)"],
}


def evaluate(code: str, home: Path, env: Mapping[str, str] | None = None) -> set[str]:
    """The names that the code prints, in JSON."""
    done = run([PYTHON, "-c", code], home, env)
    assert (done.returncode, done.stderr) == (0, "")
    return set(json.loads(done.stdout))


def files(folder: Path) -> list[str]:
    """Everything below the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


MODULES = "import json, sys; print(json.dumps(sorted(sys.modules)))"


# -- off -----------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [None, "", "0", "no", "false", "off"])
def test_off_imports_nothing_of_it(tmp_path: Path, value: str | None) -> None:
    env = {} if value is None else {"GENTRACE": value}
    done = run([PYTHON, "-X", "importtime", "-c", "print('here')"], tmp_path, env)
    assert (done.returncode, done.stdout) == (0, "here\n")
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert "site" in imported
    assert [name for name in imported if name.partition(".")[0] in TRACERS] == []


def test_off_a_host_runs_without_any_of_it(tmp_path: Path) -> None:
    code = f"import pixsim7.backend.main.main, pixsim7.backend.main.workers.arq_worker; {MODULES}"
    found = evaluate(code, tmp_path, {"PYTHONPATH": str(FOLDER)})
    # Newer versions of FastAPI import the API of OpenTelemetry, so that alone says nothing.
    tracers = {name for name in found if name.partition(".")[0] in ("gentrace", "wrapt")}
    assert tracers == set()
    assert {n for n in found if n.startswith(("opentelemetry.sdk", "opentelemetry.inst"))} == set()


def test_importing_the_package_without_the_switch_imports_only_it(tmp_path: Path) -> None:
    code = f"import gentrace; {MODULES}"
    found = evaluate(code, tmp_path)
    assert {name for name in found if name.partition(".")[0] in TRACERS} == {"gentrace"}


# -- on, in processes that are no host ---------------------------------------------------------
@pytest.mark.parametrize("name", UNTOUCHED)
def test_on_other_programs_print_and_write_what_they_always_do(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    off = run(UNTOUCHED[name], home)
    before = files(home)
    on = run(UNTOUCHED[name], home, {"GENTRACE": "1"})
    assert (on.returncode, on.stdout, on.stderr) == (off.returncode, off.stdout, off.stderr)
    assert files(home) == before == []


def test_on_the_start_imports_a_fixed_list(tmp_path: Path) -> None:
    code = "import sys; names = sorted(sys.modules); import json; print(json.dumps(names))"
    added = evaluate(code, tmp_path, {"GENTRACE": "1"}) - evaluate(code, tmp_path)
    assert {n for n in added if n.partition(".")[0] not in sys.stdlib_module_names} == STARTS_WITH
    assert added & NOT_AT_START == set()


@pytest.mark.parametrize(
    "library", ["fastapi", "sqlalchemy.ext.asyncio", "arq", "httpx", "requests", "redis.asyncio"]
)
def test_on_a_library_alone_starts_nothing(tmp_path: Path, library: str) -> None:
    seen = "[*(t.name for t in threading.enumerate()), *sys.modules]"
    code = f"import json, sys, threading; import {library}; print(json.dumps({seen}))"
    on, off = evaluate(code, tmp_path, {"GENTRACE": "1"}), evaluate(code, tmp_path)
    assert {
        n for n in on - off if n.partition(".")[0] not in sys.stdlib_module_names
    } == STARTS_WITH
    assert files(tmp_path) == []


def test_a_profile_that_warns_says_so_only_in_a_host(tmp_path: Path) -> None:
    odd = tmp_path / "odd.toml"
    odd.write_text('name = "odd"\npackages = ["odd_host"]\ntargets = []\nwhatever = 1\n')
    (tmp_path / "odd_host.py").write_text("")
    env = {"GENTRACE": "1", "GENTRACE_PROFILE": str(odd), "PYTHONPATH": str(tmp_path)}
    assert run([PYTHON, "-c", "print(1)"], tmp_path, env).stderr == ""
    said = run([PYTHON, "-c", "import odd_host"], tmp_path, env).stderr
    assert said.count("gentrace:") == 1
    assert "unknown key 'whatever'" in said


def test_a_profile_that_cannot_be_used_is_no_matter_elsewhere(tmp_path: Path) -> None:
    env = {"GENTRACE": "1", "GENTRACE_PROFILE": str(tmp_path / "missing.toml")}
    done = run([PYTHON, "-c", "print(1)"], tmp_path, env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
