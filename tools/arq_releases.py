"""Releases of ARQ beside the installed one: a folder each, for the front of PYTHONPATH.

Each comes with a release of redis-py that its users have; everything else is the environment's.
Standard library only; `tools/services.py` decides where the folders are kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

RELEASES = {"0.25.0": "5.0.1", "0.26.3": "4.6.0", "0.28.0": "5.2.1"}
"""ARQ's release to redis-py's."""

ROOT = Path(__file__).resolve().parents[1]
NO_PIP = "no pip for this Python; make the environment first (`make setup`)"


def folder(cache: Path) -> Path:
    """Where the releases are kept, each in a folder named after it; other releases, another."""
    digest = hashlib.sha256(json.dumps(RELEASES).encode()).hexdigest()[:12]
    return cache / f"arq-{digest}"


def find(cache: Path) -> Path | None:
    """The folder of all releases, if they were installed."""
    kept = folder(cache)
    return kept if kept.is_dir() else None


def install(cache: Path, run: Callable[..., None]) -> None:
    """Installs all into a temporary folder and renames it, so that a half of it is never found."""
    cache.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=cache))
    try:
        for arq, redis in RELEASES.items():
            quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
            where = ["--target", str(partial / arq), "--no-deps", "--only-binary", ":all:"]
            wanted = [f"arq=={arq}", f"redis=={redis}"]
            run([*_pip(), "install", *quiet, *where, *wanted], env={**os.environ})
        partial.chmod(0o755)
        try:
            partial.rename(folder(cache))
        except OSError:
            if find(cache) is None:  # another run was first
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _pip() -> list[str]:
    """A pip: this Python's, else that of the tree's environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for python in (".venv/bin/python", ".venv/Scripts/python.exe"):
        if (ROOT / python).is_file():
            return [str(ROOT / python), "-m", "pip"]
    raise FileNotFoundError(NO_PIP)
