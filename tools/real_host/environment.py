"""The host's own virtual environment, and its provider's client aimed at the stand-in."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path("pixsim7/backend/main/requirements.txt")
CLIENT = Path("libs/pixverse-py/pixverse")
PROVIDER_URL = "https://app-api.pixverse.ai"
SYNCHRONOUS = Path(__file__).with_name("synchronous_client")
NOT_NEEDED = re.compile(
    r"(torch|transformers|open-clip|pytest|black|ruff|pixverse-py|sora-py)", re.I
)
"""Machine learning, development, and clients that are not on PyPI."""
BESIDES = ("email-validator", "bcrypt<4.1")
"""What the host imports and does not list; the bcrypt that its passlib can work with."""


def python_of(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def prepare(checkout: Path, venv: Path, source: Path = TREE, reinstall: bool = False) -> None:
    """Fills the environment once with the host's requirements, and with gentrace from its tree.

    Args:
        source: the tree of gentrace that is installed, not editable.
        reinstall: gentrace is installed anew; the requirements are not.
    """
    filled = venv / ".filled"
    if not filled.exists():
        venv.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", "--clear", str(venv)])
        wanted = venv / "requirements.txt"
        wanted.write_text("\n".join([*_requirements(checkout), *BESIDES, ""]), encoding="utf-8")
        _pip(venv, "-r", str(wanted))
    if reinstall or not filled.exists():
        _pip(venv, "-c", str(source / "constraints-host.txt"), str(source))
    if reinstall and filled.exists():
        _pip(venv, "--force-reinstall", "--no-deps", "--no-cache-dir", str(source))
    filled.touch()


def client_for(checkout: Path, folder: Path, url: str) -> Path:
    """A folder for the path, with the provider's client calling `url`.

    The checkout's own client is copied and its address replaced. Revisions before the client came
    into the tree get a small synchronous one.
    """
    paths = folder / "client"
    if (checkout / CLIENT).is_dir():
        shutil.copytree(checkout / CLIENT, paths / "pixverse")
    else:
        shutil.copytree(SYNCHRONOUS / "pixverse", paths / "pixverse")
    for file in paths.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(PROVIDER_URL, url), encoding="utf-8")
    return paths


def working_folder(checkout: Path, folder: Path) -> Path:
    """A folder to work in that looks like the checkout: the host reads paths relative to it."""
    place = folder / "work"
    place.mkdir()
    for entry in checkout.iterdir():
        if not entry.name.startswith(".") and entry.name != "data":
            (place / entry.name).symlink_to(entry)
    return place


def _requirements(checkout: Path) -> list[str]:
    lines = (checkout / REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    wanted = [line.split("#")[0].strip() for line in lines]
    return [line for line in wanted if line and not NOT_NEEDED.match(line)]


def _pip(venv: Path, *arguments: str) -> None:
    quiet = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run([str(python_of(venv)), *quiet, *arguments])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=1800)
