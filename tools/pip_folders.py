"""Packages beside the environment's own: a folder each, for the front of PYTHONPATH.

Each folder holds what is named for it and nothing else; the rest is the environment's. Standard
library only; `tools/services.py` decides where the folders are kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NO_PIP = "no pip for this Python; make the environment first (`make setup`)"


@dataclass(frozen=True)
class PipFolders:
    """Some folders that are installed together.

    Attributes:
        wanted: by the folder's name, what pip installs into it.
    """

    name: str
    wanted: Mapping[str, Sequence[str]]

    def folder(self, cache: Path) -> Path:
        """Where the folders are kept; where other things are wanted, another."""
        told = json.dumps({name: list(packages) for name, packages in self.wanted.items()})
        return cache / f"{self.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def find(self, cache: Path) -> Path | None:
        """The folder of all of them, if they were installed."""
        kept = self.folder(cache)
        return kept if kept.is_dir() else None

    def install(self, cache: Path, run: Callable[..., None]) -> None:
        """Installs all into a temporary folder and renames it: a half of it is never found."""
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=cache))
        try:
            for name, packages in self.wanted.items():
                quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
                where = ["--target", str(partial / name), "--no-deps", "--only-binary", ":all:"]
                run([*_pip(), "install", *quiet, *where, *packages], env={**os.environ})
            partial.chmod(0o755)
            try:
                partial.rename(self.folder(cache))
            except OSError:
                if self.find(cache) is None:  # another run was first
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


ARQ_RELEASES = {"0.25.0": "5.0.1", "0.26.3": "4.6.0", "0.28.0": "5.2.1"}
"""ARQ's release to the redis-py's that its users have."""
ARQ = PipFolders("arq", {a: [f"arq=={a}", f"redis=={r}"] for a, r in ARQ_RELEASES.items()})
SQLALCHEMY = PipFolders("sqlalchemy", {"2.1.9": ["sqlalchemy==2.1.9"]})
# What a host may have beside us: each brings a plugin that every pytest would load.
TRACERS = PipFolders(
    "tracers",
    {
        "logfire": ["logfire==5.2.0", "executing==2.2.1"],
        "ddtrace": [
            *("ddtrace==4.16.0", "ddtrace-internal==0.1.0", "envier==0.6.1", "bytecode==0.17.0")
        ],
    },
)


def _pip() -> list[str]:
    """A pip: this Python's, else that of the tree's environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for python in (".venv/bin/python", ".venv/Scripts/python.exe"):
        if (ROOT / python).is_file():
            return [str(ROOT / python), "-m", "pip"]
    raise FileNotFoundError(NO_PIP)
