"""Reads files that anybody may have put in a host's way: only regular ones, and so many bytes.

Opening a pipe waits for its other end, and reading a device may never end: the host would wait as
well. Only ``os`` is imported: the switch reads a profile by this at every interpreter's start.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KINDS = (
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISLNK, "is a symbolic link"),
)
_AT_ONCE = (
    getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
SMALL, LARGE = 1 << 20, 1 << 28
"""Bytes: more than any file has that people write; and than any that git or Python does."""


class UnfitFile(OSError):
    """There is something, and it is not such a file as it should be; ``strerror`` says why."""


def read(path: Any, most: int = SMALL) -> bytes:
    """The whole of a file.

    Raises:
        OSError: it is not there, or cannot be read.
        UnfitFile: it is no regular file, or has more than ``most`` bytes.
    """
    found = os.stat(path)
    if stat.S_ISREG(found.st_mode) and found.st_size > most:
        raise _unfit(path, f"has more than {most} bytes")
    content = head(path, most + 1)  # it may have grown, and some tell no size
    if len(content) > most:
        raise _unfit(path, f"has more than {most} bytes")
    return content


def read_text(path: Any, most: int = SMALL) -> str:
    """As :func:`read`, as UTF-8.

    Raises:
        UnicodeDecodeError: it is not.
    """
    return read(path, most).decode("utf-8")


def head(path: Any, most: int) -> bytes:
    """The first bytes of a file, at most so many; raises as :func:`read`."""
    check(path, os.stat(path))  # opening a device may do something
    return _content(path, os.open(path, os.O_RDONLY | _AT_ONCE), most)


def read_own(path: Any, length: int) -> bytes:
    """A secret of this user's, of exactly that length, that nobody else may read or exchange.

    Raises:
        OSError: as :func:`read`.
        UnfitFile: it is also a link, another user's, open to others, or of another length.
    """
    check(path, os.lstat(path))
    no_link = getattr(os, "O_NOFOLLOW", 0)
    content = _content(path, os.open(path, os.O_RDONLY | _AT_ONCE | no_link), length + 1, own=True)
    if len(content) != length:
        raise _unfit(path, f"has not the {length} bytes that it should")
    return content


def append_to(path: Any) -> int:
    """The descriptor of a file that is made, or gone on with where it is a regular one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _AT_ONCE, 0o600)
    try:
        check(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check(path: Any, found: os.stat_result) -> None:
    """Raises UnfitFile where that is no regular file."""
    if stat.S_ISREG(found.st_mode):
        return
    word = next((word for is_one, word in _KINDS if is_one(found.st_mode)), "is a device")
    raise _unfit(path, word)


def _check_own(path: Any, found: os.stat_result) -> None:
    if not hasattr(os, "geteuid"):
        return  # Windows: the folder is the user's own
    if found.st_uid != os.geteuid():
        raise _unfit(path, "belongs to another user")
    if found.st_mode & 0o077:
        raise _unfit(path, "may be read or changed by others")


def _content(path: Any, descriptor: int, most: int, *, own: bool = False) -> bytes:
    try:
        found = os.fstat(descriptor)  # what was opened, whatever stands there by now
        check(path, found)
        if own:
            _check_own(path, found)
        parts: list[bytes] = []
        while most > 0 and (part := os.read(descriptor, min(most, 1 << 20))):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _unfit(path: Any, why: str) -> UnfitFile:
    return UnfitFile(0, why, str(path))
