"""Which tracked files differ from git's index: read from its file, without running git.

As ``git diff`` has it, not ``git diff --cached``: what is staged and not committed does not count,
nor do files that git does not track. A file whose size and times are those of the index is not
read; of the others the content decides, so that a copied or touched checkout is no changed one.

Source: Documentation/gitformat-index, versions 2 to 4.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gentrace.core import regular_files
from gentrace.runtime.revision import Checkout

_FIXED = struct.Struct(">10I")
_EXTENDED = 0x4000


class Entry(NamedTuple):
    """A file as the index has it."""

    mtime_s: int
    mtime_ns: int
    size: int
    digest: bytes


def changed(found: Checkout, files: Iterable[Path]) -> list[Path]:
    """Those of the files that git tracks and that are not as the index has them.

    Raises:
        OSError, ValueError, struct.error: there is no index that can be read.
    """
    wanted = {_inside(path, found.root): path for path in files}
    wanted.pop(None, None)
    config = found.shared / "config"
    sha256 = config.exists() and b"sha256" in regular_files.read(config).lower()
    data = regular_files.read(found.git / "index", regular_files.LARGE)
    return sorted(
        wanted[name]
        for name, entry in entries(data, "sha256" if sha256 else "sha1")
        if name in wanted and not _is_same(wanted[name], entry)
    )


def entries(data: bytes, algorithm: str) -> Iterator[tuple[bytes, Entry]]:
    """Every path of an index and what stands there of it."""
    signature, version, count = struct.unpack_from(">4sII", data)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("no index that is known here")
    width, at, name = hashlib.new(algorithm).digest_size, 12, b""
    for _ in range(count):
        fixed = _FIXED.unpack_from(data, at)
        digest = data[at + 40 : at + 40 + width]
        (flags,) = struct.unpack_from(">H", data, at + 40 + width)
        begins = at + 42 + width + (2 if flags & _EXTENDED else 0)
        if version == 4:
            cut, begins = _number(data, begins)
            end = data.index(0, begins)
            name = name[: len(name) - cut] + data[begins:end]
            following = end + 1
        else:
            end = data.index(0, begins)
            name = data[begins:end]
            following = at + (end - at + 8) // 8 * 8
        yield name, Entry(fixed[2], fixed[3], fixed[9], digest)
        at = following


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, as version 4 has it, and where it ends."""
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1


def _inside(path: Path, root: Path) -> bytes | None:
    try:
        return os.fsencode(path.resolve().relative_to(root).as_posix())
    except (OSError, ValueError):
        return None


def _is_same(path: Path, entry: Entry) -> bool:
    try:
        stat = path.stat()
        seconds, nanoseconds = divmod(stat.st_mtime_ns, 10**9)
        as_it_was = (seconds & 0xFFFFFFFF, nanoseconds, stat.st_size & 0xFFFFFFFF)
        if as_it_was == entry[:3]:
            return True
        content = regular_files.read(path, regular_files.LARGE)
    except OSError:
        return False
    algorithm = "sha1" if len(entry.digest) == 20 else "sha256"
    with_git_line_ends = content.replace(b"\r\n", b"\n")
    return entry.digest in (
        _blob(algorithm, content),
        _blob(algorithm, with_git_line_ends),
    )


def _blob(algorithm: str, content: bytes) -> bytes:
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content).digest()
