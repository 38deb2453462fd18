"""What may stand where a file should: each kind is put at a path."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

HUGE_BYTES = 1 << 33
NOBODY = 65_534


def _socket(path: Path) -> None:
    here = os.open(os.curdir, os.O_RDONLY)
    os.chdir(path.parent)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)
        os.close(here)


def _device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        path.open("rb").close()
    except PermissionError:
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/zero")  # nobody but root makes one


def _huge(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(HUGE_BYTES)
    path.chmod(0o600)


def _bytes(count: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(b"x" * count)
        path.chmod(0o600)

    return write


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": lambda path: os.mkfifo(path, 0o600),
    "directory": lambda path: path.mkdir(),
    "socket": _socket,
    "device": _device,
    "loop": lambda path: path.symlink_to(path.name),
    "empty": _bytes(0),
    "one byte": _bytes(1),
    "huge": _huge,
}
"""A kind's name, and what puts it there."""


def foreign(path: Path, content: bytes) -> None:
    """A file of another user's (the tests run as root), or one that others may change."""
    path.write_bytes(content)
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    else:
        path.chmod(0o622)
