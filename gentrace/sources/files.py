"""Files that may be read: what is none under such a name is passed over, and said.

A named pipe without a writer, a terminal or a link in a circle may lie in any folder, and a file
may go away between being listed and being opened.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
# Opening a pipe would wait for its writer.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def look(path: Path) -> os.stat_result | str | None:
    """What lies there: a file's own data, in words what cannot be read, None for nothing."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return "a link to nothing" if path.is_symlink() else None
    except OSError as exc:
        circle = exc.errno == errno.ELOOP
        return "a link in a circle" if circle else f"not to be read ({exc.strerror})"
    return found if stat.S_ISREG(found.st_mode) else _kind(found.st_mode)


def opened(path: Path, buffering: int = -1) -> Any:
    """A file opened to read its bytes, as ``open`` gives it; never waits.

    Raises:
        OSError: it is not there, may not be read, or is no file.
    """
    descriptor = os.open(path, _FLAGS | getattr(os, "O_CLOEXEC", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, f"it is {_kind(mode)}")
        return os.fdopen(descriptor, "rb", buffering)
    except BaseException:
        os.close(descriptor)
        raise


def passed_over(path: Path, what: str) -> str:
    """What to say of it."""
    return f"{path} is {what}, passed over"


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no file")
