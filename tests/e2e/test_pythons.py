"""Each Python that this machine has: the wheel switches on and off in it, and says what it must."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import BIN, ROOT, clean_environment, run

MINORS = range(11, 17)
HERE = sys.version_info[1]
ON = {"GENTRACE": "1"}
SEEN = "import sys; print(*(n for n in sys.modules if n.partition('.')[0] == 'gentrace'))"


def pythons() -> Iterator[tuple[int, str]]:
    """The minor version and path of each Python 3 that we support and find; this one always."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in MINORS:
        kept = sorted(str(path) for path in root.glob(f"3.{minor}.*/bin/python"))
        on_path = shutil.which(f"python3.{minor}")
        tried = [sys.executable] if minor == HERE else [on_path, *kept]
        found = next((path for path in tried if path and _is(minor, path)), None)
        if found is not None:
            yield minor, found


def _is(minor: int, path: str) -> bool:
    code = f"import sys, venv; sys.exit(sys.version_info[:2] != (3, {minor}))"
    try:
        return subprocess.run([path, "-c", code], capture_output=True, timeout=300).returncode == 0
    except OSError:
        return False


FOUND = dict(pythons())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source tree."""
    out = tmp_path_factory.mktemp("wheel")
    how = ["--wheel", "--no-isolation", "--outdir", str(out)]
    done = run([sys.executable, "-m", "build", *how, str(ROOT)], out)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(params=FOUND, ids=lambda minor: f"3.{minor}")
def python(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> str:
    """The Python of a new environment with the wheel and nothing else."""
    folder = tmp_path / "venv"
    env = clean_environment(tmp_path)
    make = [FOUND[request.param], "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(make, env=env, timeout=300, check=True)
    python = str(folder / BIN.name / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, env=env, timeout=300, check=True)
    return python


def test_the_start(python: str, tmp_path: Path) -> None:
    assert run([python, "-c", SEEN], tmp_path).stdout == "\n"
    assert "gentrace.runtime.startup" in run([python, "-c", SEEN], tmp_path, ON).stdout.split()

    package = tmp_path / "host" / "pixsim7" / "backend" / "main"
    package.mkdir(parents=True)
    for folder in (*package.parents[:2], package):
        (folder / "__init__.py").touch()
    for name in ("one", "two", "three"):
        (package / f"{name}.py").touch()
    (tmp_path / "host" / "uvicorn.py").touch()
    (tmp_path / "host" / ".env").write_text("GENTRACE=1\n")
    at_home = {"PYTHONPATH": str(tmp_path / "host")}
    load = "import uvicorn, os, pixsim7.backend.main; os.environ['GENTRACE'] = '1'; "

    done = run(
        [python, "-c", load + "from pixsim7.backend.main import one, two, three"], tmp_path, at_home
    )
    (line,) = done.stderr.splitlines()
    assert (done.returncode, ".env asks for tracing" in line) == (0, True)

    for program, env in ((load + "import gentrace", {}), ("import pixsim7.backend.main", ON)):
        done = run([python, "-c", program], tmp_path, {**at_home, **env})
        (line,) = done.stderr.splitlines()  # nothing but the wheel is installed
        assert (done.returncode, "the host runs without tracing" in line) == (0, True)
