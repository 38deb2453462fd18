"""The demo's folder: one demo at a time; each replaces the last one's files."""

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from examples.demo.children import DemoFailed, Interrupted

MARK = "demo.lock"
KEPT = ("spool", "spool.key", "logs")
ONLY_WHILE_RUNNING = ("media", "host.db", "host.db-wal", "host.db-shm")


@contextmanager
def own(folder: Path) -> Iterator[Path]:
    """Yields the folder, emptied. Its spool and logs stay unless the demo is interrupted."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise DemoFailed(f"{folder} holds other files; --folder takes a new or an empty one")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / MARK).open("a") as mark:
        _lock(mark, folder)
        _remove(folder, *KEPT, *ONLY_WHILE_RUNNING)
        (folder / "logs").mkdir()
        try:
            yield folder
        except Interrupted:
            _remove(folder, *KEPT, MARK)
            raise
        finally:
            _remove(folder, *ONLY_WHILE_RUNNING)
            with suppress(OSError):
                folder.rmdir()  # only where nothing is left in it


def _lock(mark: IO[str], folder: Path) -> None:
    """Held until this process ends, however it ends; not on Windows."""
    try:
        fcntl = importlib.import_module("fcntl")
    except ImportError:
        return
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DemoFailed(
            f"another demo is running in {folder}; stop it, or use --folder for this one"
        ) from None


def _remove(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
