"""`pip install gentrace`, as a user types it: the oldest pip of Python 3.11, later ones, and uv.

Each resolves the wheel's requirements anew from the package index, without a constraints file.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.programs import BIN

PIPS = ("pip==22.3", "pip==23.2.1", "pip")
HOSTS = (
    (),
    ("fastapi==0.109.0", "sqlalchemy==2.0.25", "arq==0.25.0"),
    ("fastapi", "sqlalchemy", "arq"),
)
TRAIN = {"opentelemetry-sdk": "1.45.1", "opentelemetry-instrumentation-httpx": "0.66b1"}


SYSTEM_CERTIFICATES = {"UV_SYSTEM_CERTS": "true"}
"""uv has certificates of its own; pip takes the system's, too."""


def run(command: Sequence[str], home: Path) -> str:
    done = programs.run(command, home, SYSTEM_CERTIFICATES)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of a new environment with the pip that Python brings."""
    folder = tmp_path / "venv"
    run([sys.executable, "-m", "venv", str(folder)], tmp_path)
    return folder / BIN.name / "python"


def chosen(told: str) -> dict[str, str]:
    """Each package that would be installed, with its version; pip and uv tell them apart."""
    return dict(re.findall(r"([a-z][a-z0-9-]+?)(?:-|==)(\d[\w.]*)", told))


@pytest.mark.parametrize("pip", PIPS)
def test_any_pip_finds_one_release_of_opentelemetry(
    pip: str, python: Path, wheel: Path, tmp_path: Path
) -> None:
    quiet = ["--disable-pip-version-check", "--no-input"]
    run([str(python), "-m", "pip", "install", "--quiet", *quiet, pip], tmp_path)
    told = run([str(python), "-m", "pip", "install", "--dry-run", *quiet, str(wheel)], tmp_path)
    assert TRAIN.items() <= chosen(told.partition("Would install")[2]).items()


@pytest.mark.parametrize("host", HOSTS, ids=["alone", "oldest host", "newest host"])
def test_uv_finds_it_too(python: Path, wheel: Path, tmp_path: Path, host: Sequence[str]) -> None:
    run([str(python), "-m", "pip", "install", "--quiet", "uv"], tmp_path)
    uv = [str(python), "-m", "uv", "pip", "install", "--dry-run", "--python", str(python)]
    found = chosen(run([*uv, str(wheel), *host], tmp_path))
    pinned = dict(wanted.split("==") for wanted in host if "==" in wanted)
    assert {**TRAIN, **pinned}.items() <= found.items()


def test_what_is_pulled_in_is_what_the_host_needs(wheel: Path, tmp_path: Path) -> None:
    """A host without aiohttp does not get that library's instrumentation; the extra brings it."""
    unpack = "import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode())"
    name = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info/METADATA"
    told = subprocess.run(
        [sys.executable, "-c", unpack, str(wheel), name], capture_output=True, text=True, check=True
    ).stdout
    needs = [line.partition(": ")[2] for line in told.splitlines() if "Requires-Dist" in line]
    plain = [need for need in needs if "extra ==" not in need]
    assert not any("aiohttp" in need for need in plain)
    assert any("aiohttp" in need and "extra == 'aiohttp'" in need for need in needs)
    assert all("<=" in need for need in needs if need.startswith("opentelemetry"))
