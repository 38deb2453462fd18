"""Keeps the index beside the files: reads what is new in them, and starts over where it must.

Nobody ever writes into an index that others read. Each update works on a copy of its own and puts
it in the old one's place in one step, so that any number of processes may do so at once.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, rmtree
from types import TracebackType

import duckdb
import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from gentrace.core.errors import SourceError
from gentrace.core.spans import Trace, repeated, traces
from gentrace.sources.index import tables
from gentrace.sources.index.scan import scan, span_at
from gentrace.sources.index.tables import RunColumns, Writer
from gentrace.sources.otlp_files import OtlpFiles

_HEAD_BYTES = 4096
_LIMITS = "SET memory_limit='300MB'; SET threads=2; SET preserve_insertion_order=false"
_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as the index has it."""

    id: int
    path: str
    inode: int
    head: str
    head_size: int
    read_to: int
    mtime_ns: int
    damaged: int


class RunIndex:
    """The run spans of a place of files, up to date as of its opening.

    Args:
        source: what is read.
        folder: where indexes are kept; the user's cache folder by default.

    Raises:
        SourceError: as :class:`OtlpFiles` does, where the files cannot be read.
    """

    def __init__(self, source: OtlpFiles, folder: Path | None = None) -> None:
        self.source = source
        self._own: Path | None = None
        place = str(source.path.resolve())
        name = hashlib.sha256(place.encode()).hexdigest()[:24]
        self._place, self._path = place, _writable(folder) / f"{name}.duckdb"
        self._closed: list[Path] = []
        try:
            try:
                self._db = self._open()
            except duckdb.Error:
                self._path.unlink(missing_ok=True)  # damaged, or of another DuckDB
                self._db = self._open()
        except (duckdb.Error, OSError) as exc:
            raise SourceError(
                f"the index of {source.description} cannot be kept in {self._path.parent}: "
                f"{str(exc).partition(chr(10))[0]}. Make room there, or name another folder with "
                "XDG_CACHE_HOME"
            ) from None

    def __enter__(self) -> RunIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None
    ) -> None:
        self._db.close()
        if self._own is not None:
            self._own.unlink(missing_ok=True)

    def columns(self) -> RunColumns:
        """Every run that has its run span, oldest first."""
        return tables.columns(self._db)

    def others(self) -> Iterator[Trace]:
        """What tells of runs that have none; only spans of a run's own life."""
        yield from traces(tables.spans(self._db))

    @property
    def notes(self) -> Sequence[str]:
        """Damaged lines, file by file, files that could not be read, run spans that came twice."""
        rows = self._db.execute("SELECT damaged, path FROM files WHERE damaged > 0").fetchall()
        told = [f"{n} damaged line{'s' * (n > 1)} in {path}, skipped" for n, path in rows]
        told += [f"{path} cannot be read, left out" for path in self._closed]
        ((twice,),) = self._db.execute(tables.REPEATED).fetchall()
        return [*told, repeated(twice, "run span")] if twice else told

    def _open(self) -> duckdb.DuckDBPyConnection:
        files = [path for path in self.source.files() if path.is_file()]
        self._closed = [path for path in files if not os.access(path, os.R_OK)]
        if self.source.path not in self._closed:
            files = [path for path in files if path not in self._closed]
        if self._path.exists():
            db = duckdb.connect(str(self._path), read_only=True)
            try:
                if self._usable(db) and not self._changes(db, files):
                    return db
                usable = self._usable(db)
            except BaseException:
                db.close()
                raise
            db.close()
        else:
            usable = False
        return self._renewed(files, usable)

    def _renewed(self, files: Sequence[Path], usable: bool) -> duckdb.DuckDBPyConnection:
        handle, text = tempfile.mkstemp(".new", self._path.stem, self._path.parent)
        os.close(handle)
        copy = Path(text)
        try:
            if usable:
                copyfile(self._path, copy)
            else:
                copy.unlink()
            with duckdb.connect(text) as db:
                db.execute(_LIMITS)
                if not usable:
                    db.execute(tables.SCHEMA)
                    db.execute("INSERT INTO about VALUES (?, ?)", [tables.VERSION, self._place])
                self._update(db, files)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        try:
            copy.replace(self._path)
        except OSError:  # another process has the old one open, on Windows
            self._own = copy
        return duckdb.connect(str(self._own or self._path), read_only=True)

    def _usable(self, db: duckdb.DuckDBPyConnection) -> bool:
        return db.execute("FROM about").fetchall() == [(tables.VERSION, self._place)]

    def _changes(
        self, db: duckdb.DuckDBPyConnection, files: Sequence[Path]
    ) -> list[tuple[Path | None, _Known | None, bool]]:
        """Files to read or to forget: the file, what is known of it, whether that still holds."""
        known = {row[1]: _Known(*row) for row in db.execute("FROM files").fetchall()}
        found: list[tuple[Path | None, _Known | None, bool]] = []
        for path in files:
            before = known.pop(str(path), None)
            if before is None:
                found.append((path, None, False))
                continue
            with suppress(FileNotFoundError):
                stat = path.stat()
                if (stat.st_ino, stat.st_mtime_ns) == (before.inode, before.mtime_ns):
                    continue
                same = stat.st_ino == before.inode and stat.st_size >= before.read_to
                same = same and _head(path, before.head_size) == before.head
                found.append((path, before, same))
        found += [(None, gone, False) for gone in known.values()]
        return found

    def _update(self, db: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
        db.execute("BEGIN")
        gc.disable()  # millions of small tuples, none of them in a circle
        try:
            self._take(db, files)
        finally:
            gc.enable()
        db.execute("COMMIT")

    def _take(self, db: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
        told: list[_Told] = []
        for path, before, holds in self._changes(db, files):
            if before is not None and not (path and holds and _there(path)):
                _forget(db, before.id)
            if path is not None and _there(path):
                told.append(_read(db, path, before if holds else None))
        for each in told:
            _keep(db, each)
        db.execute(
            "DELETE FROM spans WHERE EXISTS "
            "(FROM runs WHERE runs.hi = spans.hi AND runs.lo = spans.lo)"
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """Where in a file spans stand that tell of runs: trace ids in hex, and offsets."""

    path: Path
    id: int
    traces: bytes
    spots: NDArray[np.int64]


def _read(db: duckdb.DuckDBPyConnection, path: Path, before: _Known | None) -> _Told:
    """Takes in what is new in a file."""
    ((following,),) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM files").fetchall()
    id_ = before.id if before else int(following)
    damaged, read_to = (before.damaged, before.read_to) if before else (0, 0)
    writer = Writer(db)
    found = bytearray()
    spots: list[int] = []
    try:
        stat = path.stat()
        with path.open("rb") as handle:
            for seen in scan(handle, read_to):
                for run in seen.runs:
                    writer.run(run, id_)
                writer.telling(seen.decoded, id_)
                found += b"".join(trace for trace, _ in seen.telling)
                spots += [at for _, at in seen.telling]
                read_to, damaged = seen.read_to, damaged + seen.damaged
        writer.flush()
        head_size = min(read_to, _HEAD_BYTES)
        head = _head(path, head_size)
    except OSError as exc:
        raise SourceError(f"{path} cannot be read: {exc.strerror}") from None
    row = [id_, str(path), stat.st_ino, head, head_size, read_to, stat.st_mtime_ns, damaged]
    db.execute("DELETE FROM files WHERE id = ?", [id_])
    db.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    return _Told(path, id_, bytes(found), np.array(spots, dtype=np.int64))


def _keep(db: duckdb.DuckDBPyConnection, told: _Told) -> None:
    """Decodes the spans of runs that have no run span, and no others."""
    if not len(told.spots):
        return
    ids = np.frombuffer(bytes.fromhex(told.traces.decode()), dtype=">u8").astype(np.uint64)
    given = {"hi": ids[0::2].copy(), "lo": ids[1::2].copy(), "spot": told.spots}
    db.register("told", given)
    rows = db.execute(
        "SELECT spot FROM told WHERE NOT EXISTS "
        "(FROM runs WHERE runs.hi = told.hi AND runs.lo = told.lo) ORDER BY spot"
    ).fetchnumpy()["spot"]
    db.unregister("told")
    writer = Writer(db)
    with suppress(FileNotFoundError), told.path.open("rb") as handle:
        for start in range(0, len(rows), _AT_ONCE):
            spans = (span_at(handle, int(at)) for at in rows[start : start + _AT_ONCE])
            writer.telling((span for span in spans if span is not None), told.id)


def _forget(db: duckdb.DuckDBPyConnection, id_: int) -> None:
    """A file that is gone, or is another one now."""
    db.execute("DELETE FROM attributes WHERE key IN (SELECT key FROM runs WHERE file = ?)", [id_])
    for table, column in (("runs", "file"), ("spans", "file"), ("files", "id")):
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", [id_])


def _there(path: Path) -> bool:
    return path.is_file()


def _head(path: Path, size: int) -> str:
    """Tells a file from another that took its name."""
    with path.open("rb") as handle:
        return hashlib.sha256(handle.read(size)).hexdigest()


def _writable(folder: Path | None) -> Path:
    """The folder for indexes, made where it can be; else one that is anybody's."""
    wanted = folder or user_cache_path("gentrace", appauthor=False) / "index"
    with suppress(OSError):
        wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    own = Path(tempfile.mkdtemp(prefix="gentrace-index-"))
    atexit.register(rmtree, own, ignore_errors=True)
    return own
