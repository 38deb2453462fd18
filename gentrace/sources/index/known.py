"""What the index knows of a file, and whether the file is still the one that it read.

Files only ever grow at their end, or so their writers say. One that was written anew in the same
place may begin as before, and be as long; so pieces all over what was read are kept as a hash, and
a file that was touched without having grown is read anew whatever they say.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb

from gentrace.sources.packed import opened

_PIECE = 4096
_PIECES = 64


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the index has it.

    Attributes:
        size: how long it was, and ``mtime_ns`` and ``ctime_ns`` when it was changed, as it was
            read.
        marks: of what was read of it, see :func:`marks`.
        read_to: up to where that was.
        lines: how many damaged lines it has, and ``spans`` how many damaged spans.
    """

    id: int
    path: str
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    marks: str = ""
    read_to: int = 0
    lines: int = 0
    spans: int = 0

    def untouched(self, stat: os.stat_result) -> bool:
        """Whether nobody wrote to it since; without reading it."""
        return (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) == (
            self.inode, self.size, self.mtime_ns, self.ctime_ns,
        )  # fmt: skip

    def grew(self, path: Path, stat: os.stat_result) -> bool:
        """Whether all that was done to it was to write on at its end."""
        if stat.st_ino != self.inode or stat.st_size <= self.size:
            return False
        return self._begins(path)

    def moved(self, path: Path, stat: os.stat_result) -> bool:
        """Whether it is there under another name: as it was, or written on before that."""
        there = (stat.st_ino, stat.st_mtime_ns) == (self.inode, self.mtime_ns)
        as_it_was = there and stat.st_size == self.size
        return self._begins(path) if as_it_was else self.grew(path, stat)

    def _begins(self, path: Path) -> bool:
        """Whether what was read of it is there still."""
        with opened(path) as handle:
            return marks(handle, self.read_to) == self.marks


@dataclass(frozen=True, slots=True)
class Change:
    """A file to read or to forget.

    Attributes:
        path: None where it is gone.
        before: what is known of it, and ``holds`` whether that still holds.
    """

    path: Path | None
    before: Known | None
    holds: bool = False


def changes(db: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> list[Change]:
    """What is not as the index has it.

    A file that was rotated is known by its inode: it goes on under its new name, and what is
    written under the old one is a new file.
    """
    known = {row[1]: Known(*row) for row in db.execute("FROM files").fetchall()}
    stats: dict[Path, os.stat_result] = {}
    for path in files:
        with suppress(OSError):  # what cannot be read now stays as it is known
            stats[path] = path.stat()
    inodes = {stat.st_ino: path for path, stat in stats.items() if str(path) not in known}
    moved = {
        str(inodes[each.inode]): known.pop(each.path)
        for each in [*known.values()]
        if each.inode in inodes and _is_another(each, stats.get(Path(each.path)))
    }
    found: list[Change] = []
    for path in files:
        stat = stats.get(path)
        if stat is None:
            if known.pop(str(path), None) is None:
                found.append(Change(path, None))
        elif (before := known.pop(str(path), None)) is not None:
            if not before.untouched(stat):
                found.append(Change(path, before, _holds(before.grew, path, stat)))
        elif (before := moved.get(str(path))) is not None:
            found.append(Change(path, before, _holds(before.moved, path, stat)))
        else:
            found.append(Change(path, None))
    return found + [Change(None, gone) for gone in known.values()]


def _is_another(known: Known, stat: os.stat_result | None) -> bool:
    """Whether another file, or none, is there under its name."""
    return stat is None or stat.st_ino != known.inode


def _holds(ask: Callable[[Path, os.stat_result], bool], path: Path, stat: os.stat_result) -> bool:
    try:
        return ask(path, stat)
    except OSError:
        return False


def marks(handle: BinaryIO, read_to: int) -> str:
    """A hash of the first bytes, of the last before ``read_to``, and of pieces between them.

    All of a file of some hundred KB.
    """
    last = max(0, read_to - _PIECE)
    told = hashlib.sha256()
    for number in range(_PIECES):
        at = last * number // (_PIECES - 1)
        handle.seek(at)
        told.update(handle.read(min(_PIECE, read_to - at)))
    return told.hexdigest()
