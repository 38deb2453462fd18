"""Releases of libraries beside the installed ones: a folder each, for the front of PYTHONPATH.

Everything else is the environment's. Standard library only; `tools/services.py` decides where the
folders are kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NO_PIP = "no pip for this Python; make the environment first (`make setup`)"


@dataclass(frozen=True)
class Releases:
    """Some releases of one library.

    Attributes:
        library: its name, as pip and Python know it.
        beside: its release -> that of `companion` which its users have; empty where it has none.
        companion: a library that goes along with it.
    """

    library: str
    beside: Mapping[str, str]
    companion: str = ""

    def folder(self, cache: Path) -> Path:
        """Where they are kept, each in a folder named after it; other releases, another."""
        digest = hashlib.sha256(json.dumps(dict(self.beside)).encode()).hexdigest()[:12]
        return cache / f"{self.library}-{digest}"

    def find(self, cache: Path) -> Path | None:
        """The folder of all of them, if they were installed."""
        kept = self.folder(cache)
        return kept if kept.is_dir() else None

    def install(self, cache: Path, run: Callable[..., None]) -> None:
        """Installs all into a temporary folder and renames it: a half of it is never found."""
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cache))
        try:
            for release, companion in self.beside.items():
                quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
                where = ["--target", str(partial / release), "--no-deps", "--only-binary", ":all:"]
                wanted = [f"{self.library}=={release}"]
                if companion:
                    wanted.append(f"{self.companion}=={companion}")
                run([*_pip(), "install", *quiet, *where, *wanted], env={**os.environ})
            partial.chmod(0o755)
            try:
                partial.rename(self.folder(cache))
            except OSError:
                if self.find(cache) is None:  # another run was first
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


ARQ = Releases("arq", {"0.25.0": "5.0.1", "0.26.3": "4.6.0", "0.28.0": "5.2.1"}, "redis")
SQLALCHEMY = Releases("sqlalchemy", {"2.1.9": ""})


def _pip() -> list[str]:
    """A pip: this Python's, else that of the tree's environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for python in (".venv/bin/python", ".venv/Scripts/python.exe"):
        if (ROOT / python).is_file():
            return [str(ROOT / python), "-m", "pip"]
    raise FileNotFoundError(NO_PIP)
