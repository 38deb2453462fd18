"""Says one line where a ``.env`` asks for gentrace and the host, which reads it late, runs without.

Nothing is patched for it: a finder that finds nothing notices what the host imports. The line
comes when the host has read its ``.env`` and goes on without gentrace, in a process that serves or
works: ``import gentrace`` right after ``load_dotenv()`` needs no word, nor do Alembic and pytest.
"""

from __future__ import annotations

import os
import sys

from gentrace.core import dotenv, switch
from gentrace.runtime import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_SERVING = ("uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "arq.cli")
_ENTRY = 2
"""So many of the host's modules are let pass when its ``.env`` has been read: what is started
(``workers.arq_worker``), where a server read the file, may import gentrace itself."""
_PATIENCE = 10
"""So many of a host that does not put its ``.env`` into the environment; of a small one half."""


class DotenvOnlooker:
    """A finder that finds nothing, and notices a host that comes up untraced."""

    def __init__(self, path: str, packages: Sequence[str]) -> None:
        self._path = path
        self._inside = tuple(f"{package}." for package in packages)
        self._patience = 0
        self._passed = self._passed_since_read = 0

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self._inside and fullname.startswith(self._inside):
            try:
                self._patience = self._patience or _patience(path)
                self._see()
            except Exception as exc:
                notices.swallowed("a look at .env", exc)
        return None

    def _see(self) -> None:
        """A module of the host is about to be imported."""
        self._passed += 1
        self._passed_since_read += switch.switched_on()
        if self._passed_since_read <= _ENTRY and self._passed <= self._patience:
            return
        if not any(name in sys.modules for name in _SERVING):
            return
        self._inside = ()
        if "gentrace.runtime.startup" not in sys.modules and "pytest" not in sys.modules:
            notices.say_once("dotenv", message(self._path))


def _patience(folders: Sequence[str] | None) -> int:
    """How many modules are let pass, by how many there are beside the first that is imported."""
    names = [name for folder in folders or () for name in os.listdir(folder)]
    modules = [n for n in names if n.endswith(".py") or not ("." in n or n.startswith("__"))]
    return min(_PATIENCE, max(1, len(modules) // 2))


def message(path: str) -> str:
    """The line."""
    return (
        f"{path} asks for tracing, but the host reads it after Python has started: this process "
        "runs without. Set GENTRACE=1 in its environment, start it through `gentrace exec -- CMD`, "
        "or import gentrace right after load_dotenv()"
    )


def watch() -> None:
    """Look out for the host where a ``.env`` asks for gentrace and the environment does not.

    A second call changes nothing: in a virtual environment start-up files are read twice.
    """
    try:
        if any(type(finder).__name__ == DotenvOnlooker.__name__ for finder in sys.meta_path):
            return  # this module was imported anew
        path, found = dotenv.asking(os.environ, folders())
        if path is None:
            return
        name = switch.profile_name({**(found or {}), **os.environ})
        packages = switch.packages(name) or _packages_of(name)
        if packages:
            sys.meta_path.insert(0, DotenvOnlooker(path, packages))  # pyright: ignore[reportArgumentType]
    except Exception as exc:
        notices.swallowed("a look for .env", exc)


def _packages_of(name: str) -> Sequence[str]:
    """The packages of a profile that only the parser understands: one that extends another."""
    from gentrace.core.errors import ProfileError
    from gentrace.core.profile import load

    try:
        return load(name, strict=False)[0].packages
    except ProfileError:
        return ()


def folders() -> list[str]:
    """Where the host's code, and so its ``.env``, may be: here, and on PYTHONPATH."""
    listed = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [os.curdir, *(folder for folder in listed if folder)]
