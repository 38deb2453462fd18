"""Where indexes are kept, and where one is made before it takes the place of the old one.

What is being made stands in a folder of its own, with whatever DuckDB puts beside it. A process
that is killed leaves that folder, and the next one that makes an index takes it away.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from platformdirs import user_cache_path

_MAKING = ".new"
_FORGOTTEN_S = 24 * 3600
"""No index takes so long to make: what is older and may be another machine's is nobody's."""


def kept(folder: Path | None) -> Path:
    """The folder for indexes, made where it is not there; the user's cache folder by default.

    Raises:
        OSError: it cannot be made, or there is no home folder for it.
    """
    wanted = folder or user_cache_path("gentrace", appauthor=False) / "index"
    if not wanted.is_absolute():
        raise OSError(errno.ENOENT, "there is no home folder")
    wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
    return wanted


def workshop(folder: Path, name: str) -> Path:
    """A new folder in that of the indexes, for the index of that name to be made in.

    Raises:
        OSError: it cannot be made.
    """
    clear(folder)
    return Path(tempfile.mkdtemp(_MAKING, f"{name}.{_machine()}.{os.getpid()}.", folder))


def temporary() -> Path:
    """A new folder for an index that nobody keeps.

    Raises:
        OSError: no folder for temporary files can be written.
    """
    return Path(tempfile.mkdtemp(prefix="gentrace-index-"))


def clear(folder: Path) -> None:
    """Take away what processes that are gone were making."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix == _MAKING and _is_left(path):
                rmtree(path, ignore_errors=True)
            if path.is_file() and f"{_MAKING}." in f"{path.name}." and _is_old(path):
                with suppress(OSError):
                    path.unlink()


def _is_left(path: Path) -> bool:
    """Whether the process that made that folder is gone, or must be."""
    *_, machine, pid, _mark, _new = ["", "", "", *path.name.split(".")]
    if machine == _machine() and os.name == "posix" and pid.isdecimal():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            pass  # it runs, as another user
    return _is_old(path)


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _FORGOTTEN_S
    except OSError:
        return False


def _machine() -> str:
    """Which machine's processes are meant by a number: a home may be that of several."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]
