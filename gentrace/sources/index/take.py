"""Takes what is new in files into an index, and forgets files that are gone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from gentrace.core import otlp
from gentrace.core.errors import SourceError
from gentrace.core.spans import Span
from gentrace.sources.index.scan import Seen, scan, spans_at
from gentrace.sources.index.tables import Writer

_HEAD_BYTES = 4096
_LINE_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the index has it."""

    id: int
    path: str
    inode: int
    head: str
    head_size: int
    read_to: int
    mtime_ns: int
    damaged: int


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
    """What is not as the index has it."""
    known = {row[1]: Known(*row) for row in db.execute("FROM files").fetchall()}
    found: list[Change] = []
    for path in files:
        before = known.pop(str(path), None)
        if before is None:
            found.append(Change(path, None))
            continue
        with suppress(FileNotFoundError):
            stat = path.stat()
            if (stat.st_ino, stat.st_mtime_ns) == (before.inode, before.mtime_ns):
                continue
            same = stat.st_ino == before.inode and stat.st_size >= before.read_to
            same = same and _head(path, before.head_size) == before.head
            found.append(Change(path, before, same))
    return found + [Change(None, gone) for gone in known.values()]


def take(db: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Brings the index up to date, of runs without a run span with what else tells of them.

    Raises:
        SourceError: a file cannot be read.
    """
    writer = Writer(db)
    ((last,),) = db.execute("SELECT coalesce(max(id), 0) FROM files").fetchall()
    following = int(last) + 1
    read: dict[int, Path] = {}
    rows: list[tuple[Any, ...]] = []
    told: list[NDArray[Any]] = []
    for change in changes(db, files):
        path, before = change.path, change.before
        there = path is not None and path.is_file()
        if before is not None and not (there and change.holds):
            _forget(db, before.id)
            before = None
        if path is not None and there:
            known = before or Known(following, str(path), 0, "", 0, 0, 0, 0)
            following += before is None
            read[known.id] = path
            rows.append(_read(path, known, writer, told))
    writer.flush()
    writer.files(rows)
    for id_, spans in groupby(_untold(db, told), key=lambda found: found[0]):
        with suppress(FileNotFoundError):
            writer.telling(_spans(read[id_], [(at, place) for _, at, place in spans]), id_)
    db.execute(
        "DELETE FROM spans WHERE EXISTS (FROM runs WHERE runs.hi = spans.hi AND runs.lo = spans.lo)"
    )


_SPOT = np.dtype([("file", "i4"), ("hi", "u8"), ("lo", "u8"), ("line", "i8"), ("place", "i4")])
"""Where a span stands that tells of a run."""


def _read(path: Path, known: Known, writer: Writer, told: list[NDArray[Any]]) -> tuple[Any, ...]:
    """Takes in what is new in a file; the row of it for the table of files."""
    read_to, damaged = known.read_to, known.damaged
    try:
        stat = path.stat()
        with path.open("rb", buffering=0) as handle:
            for seen in scan(handle, read_to):
                for run in seen.runs:
                    writer.run(run, known.id)
                if seen.telling:
                    told.append(_spots(seen, known.id))
                read_to, damaged = seen.read_to, damaged + seen.damaged
        head_size = min(read_to, _HEAD_BYTES)
        head = _head(path, head_size)
    except OSError as exc:
        raise SourceError(f"{path} cannot be read: {exc.strerror}") from None
    return (
        known.id, str(path), stat.st_ino, head, head_size, read_to, stat.st_mtime_ns, damaged
    )  # fmt: skip


def _spots(seen: Seen, file: int) -> NDArray[Any]:
    """The telling spans of a block; one whose trace has no such id is left out and counted."""
    traces: list[str] = []
    kept: list[int] = []
    for n, trace in enumerate(seen.telling):
        try:
            traces.append(otlp.identifier(trace, 16))
        except ValueError:
            seen.damaged += 1
            continue
        kept.append(n)
    spots = np.empty(len(kept), dtype=_SPOT)
    ids = np.frombuffer(bytes.fromhex("".join(traces)), dtype=">u8")
    spots["file"], spots["hi"], spots["lo"] = file, ids[0::2], ids[1::2]
    spots["line"] = np.array(seen.lines, dtype=np.int64)[kept]
    spots["place"] = np.array(seen.places, dtype=np.int32)[kept]
    return spots


def _untold(
    db: duckdb.DuckDBPyConnection, told: Sequence[NDArray[Any]]
) -> Iterator[tuple[int, int, int]]:
    """File, line and place of the spans of runs that have no run span, in this order."""
    if not told:
        return
    spots = np.concatenate(told)
    given: Mapping[str, NDArray[Any]] = {
        name: np.ascontiguousarray(spots[name]) for name in _SPOT.names or ()
    }
    db.register("told", given)
    found = db.execute(
        "SELECT file, line, place FROM told WHERE NOT EXISTS "
        "(FROM runs WHERE runs.hi = told.hi AND runs.lo = told.lo) ORDER BY file, line, place"
    ).fetchnumpy()
    db.unregister("told")
    yield from zip(*(found[name].tolist() for name in ("file", "line", "place")), strict=True)


def _spans(path: Path, spots: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """The spans that stand there, each line being decoded once."""
    with path.open("rb", buffering=_LINE_BYTES) as handle:
        for at, places in groupby(spots, key=lambda spot: spot[0]):
            yield from spans_at(handle, at, [place for _, place in places])


def _forget(db: duckdb.DuckDBPyConnection, id_: int) -> None:
    """A file that is gone, or is another one now."""
    db.execute("DELETE FROM attributes WHERE key IN (SELECT key FROM runs WHERE file = ?)", [id_])
    for table, column in (("runs", "file"), ("spans", "file"), ("files", "id")):
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", [id_])


def _head(path: Path, size: int) -> str:
    """Tells a file from another that took its name."""
    with path.open("rb") as handle:
        return hashlib.sha256(handle.read(size)).hexdigest()
