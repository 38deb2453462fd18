"""Takes what is new in files into an index, and forgets files that are gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from gentrace.core import otlp
from gentrace.core.errors import SourceError
from gentrace.core.spans import Span
from gentrace.sources.index.known import Known, changes, marks
from gentrace.sources.index.scan import Seen, scan, spans_at
from gentrace.sources.index.tables import ENDED, SETTLED, Writer
from gentrace.sources.otlp_files import cut_off, not_read
from gentrace.sources.packed import Cut, opened

_LINE_BYTES = 512 * 1024


def take(
    db: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    only: bool = False,
    tell: Callable[[int], object] | None = None,
) -> list[str]:
    """Brings the index up to date, of runs without a run span with what else tells of them.

    Args:
        only: there is no other file than the one that is given.
        tell: is told how many bytes were read, again and again.

    Returns:
        What to say of the files that could not be read, or not to their end: the index holds what
        was read.

    Raises:
        SourceError: that only file cannot be read.
    """
    writer = Writer(db)
    ((last,),) = db.execute("SELECT coalesce(max(id), 0) FROM files").fetchall()
    following = int(last) + 1
    read: dict[int, Path] = {}
    rows: list[tuple[Any, ...]] = []
    told: list[NDArray[Any]] = []
    closed: list[str] = []
    for change in changes(db, files):
        path, before = change.path, change.before
        there = path is not None and path.is_file()
        if before is not None and not (there and change.holds):
            _forget(db, before.id)
            before = None
        if path is not None and there:
            known = replace(before, path=str(path)) if before else Known(following, str(path))
            following += before is None
            read[known.id] = path
            row, fault = _read(path, known, writer, told, tell)
            if isinstance(fault, Cut):
                closed.append(cut_off(path, fault))
            elif fault and only:
                raise SourceError(f"{path} cannot be read: {fault.strerror}")
            elif fault:
                closed.append(not_read(path))
            rows.append(row)
    writer.flush()
    writer.files(rows)
    for id_, spans in groupby(_untold(db, told), key=lambda found: found[0]):
        with suppress(OSError):
            writer.telling(_spans(read[id_], [(at, place) for _, at, place in spans]), id_)
    db.execute(SETTLED)
    return closed


_SPOT = np.dtype(
    [("file", "i4"), ("hi", "u8"), ("lo", "u8"), ("generation", "O"), ("line", "i8"),
     ("place", "i4")]
)  # fmt: skip
"""Where a span stands that tells of a run."""


def _read(
    path: Path,
    known: Known,
    writer: Writer,
    told: list[NDArray[Any]],
    tell: Callable[[int], object] | None = None,
) -> tuple[tuple[Any, ...], OSError | None]:
    """Takes in what is new in a file: its row for the table of files, and why it ended early.

    Of one that could not be read to its end the row fits no file: it is read anew the next time.
    """
    read_to, lines, damaged = known.read_to, known.lines, known.spans
    sizes, marked = (0, 0, 0, 0), ""
    fault: OSError | None = None
    try:
        with opened(path, buffering=0) as handle:
            stat = os.fstat(handle.fileno())
            for seen in scan(handle, read_to):
                for run in seen.runs:
                    writer.run(run, known.id)
                if seen.telling:
                    told.append(_spots(seen, known.id))
                if tell is not None:
                    tell(seen.read_to - read_to)
                read_to, lines = seen.read_to, lines + seen.damaged_lines
                damaged += seen.damaged_spans
        with opened(path) as handle:
            marked = marks(handle, read_to)
        sizes = stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    except FileNotFoundError:
        pass  # the spool dropped it since it was listed
    except OSError as exc:
        fault = exc
    return astuple(Known(known.id, str(path), *sizes, marked, read_to, lines, damaged)), fault


def _spots(seen: Seen, file: int) -> NDArray[Any]:
    """The telling spans of a block; one whose trace has no such id is left out and counted."""
    traces: list[str] = []
    kept: list[int] = []
    for n, trace in enumerate(seen.telling):
        try:
            traces.append(otlp.identifier(trace, 16))
        except ValueError:
            seen.damaged_spans += 1
            continue
        kept.append(n)
    spots = np.empty(len(kept), dtype=_SPOT)
    ids = np.frombuffer(bytes.fromhex("".join(traces)), dtype=">u8")
    spots["file"], spots["hi"], spots["lo"] = file, ids[0::2], ids[1::2]
    spots["generation"] = np.array(seen.generations, dtype=object)[kept]
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
        f"SELECT file, line, place FROM told WHERE NOT {ENDED} ORDER BY file, line, place"
    ).fetchnumpy()
    db.unregister("told")
    yield from zip(*(found[name].tolist() for name in ("file", "line", "place")), strict=True)


def _spans(path: Path, spots: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """The spans that stand there, each line being decoded once."""
    with opened(path, _LINE_BYTES) as handle:
        for at, places in groupby(spots, key=lambda spot: spot[0]):
            yield from spans_at(handle, at, [place for _, place in places])


def _forget(db: duckdb.DuckDBPyConnection, id_: int) -> None:
    """A file that is gone, or is another one now."""
    db.execute("DELETE FROM attributes WHERE key IN (SELECT key FROM runs WHERE file = ?)", [id_])
    for table, column in (("runs", "file"), ("spans", "file"), ("files", "id")):
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", [id_])
