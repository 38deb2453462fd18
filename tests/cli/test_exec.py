"""``gentrace exec``: the command's environment, its exit code, and no library needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gentrace.cli import exec as exec_command

ROOT = Path(__file__).parents[2]
PRINT = """
import os
ours = ("GENT", "OTEL", "SECR")
print({k: v for k, v in sorted(os.environ.items()) if k.startswith(ours)})
"""


def run(cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GENTRACE", "OTEL_"))}
    code = "from gentrace.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "exec", *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), **env},
        cwd=cwd, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_the_commands_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "GENTRACE=0\nexport GENTRACE_SQL='off' # comment\nOTEL_SERVICE_NAME=mine\n"
        "SECRET_KEY=not-ours\nGENTRACE_SPOOL=/from/env/file\n"
    )
    done = run(tmp_path, "--", sys.executable, "-S", "-c", PRINT, GENTRACE_SPOOL="/from/shell")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(
        {"GENTRACE": "1", "GENTRACE_SPOOL": "/from/shell", "GENTRACE_SQL": "off",
         "OTEL_SERVICE_NAME": "mine"}
    )  # fmt: skip


def test_the_nearest_env_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTEL_SERVICE_NAME=above\nGENTRACE_SQL=off\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    asked = ("--", sys.executable, "-S", "-c", PRINT)
    above = {"GENTRACE": "1", "GENTRACE_SQL": "off", "OTEL_SERVICE_NAME": "above"}
    assert run(inner, *asked).stdout.strip() == str(above)
    (inner / ".env").write_text("OTEL_SERVICE_NAME=here\n")
    here = {"GENTRACE": "1", "OTEL_SERVICE_NAME": "here"}
    assert run(inner, *asked).stdout.strip() == str(here)


@pytest.mark.parametrize("code", [0, 3, 77])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: int) -> None:
    assert run(tmp_path, sys.executable, "-S", "-c", f"raise SystemExit({code})").returncode == code


def test_wrong_use(tmp_path: Path) -> None:
    for arguments in ([], ["--"], ["--nothing"]):
        done = run(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "usage" in done.stderr
    missing = run(tmp_path, "--", "no-such-command-here")
    assert (missing.returncode, missing.stderr) == (
        127, "gentrace exec: no-such-command-here: command not found\n",
    )  # fmt: skip
    (tmp_path / "plain").write_text("not executable")
    assert run(tmp_path, "./plain").returncode == 126
    assert run(tmp_path, "--help").returncode == 0


def test_it_imports_the_standard_library_only(tmp_path: Path) -> None:
    code = (
        "import sys; from gentrace.cli import exec\n"
        "exec.environment({}, '.env')\n"
        "third = {m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(m for m in third if not m.startswith('__')))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['gentrace']"


def test_windows_waits_and_hands_on_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_command.os, "name", "nt")
    command = [sys.executable, "-S", "-c", "raise SystemExit(9)"]
    monkeypatch.setattr(exec_command, "environment", lambda *_: dict(os.environ))
    monkeypatch.setattr(exec_command.dotenv, "nearest", lambda _: None)
    assert exec_command.run(["--", *command]) == 9
