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
from pathlib import Path
from shutil import copyfile, rmtree
from types import TracebackType

import duckdb
from platformdirs import user_cache_path

from gentrace.core.errors import SourceError
from gentrace.core.spans import Trace, repeated, traces
from gentrace.sources.index import tables, take
from gentrace.sources.index.known import changes
from gentrace.sources.index.tables import RunColumns
from gentrace.sources.otlp_files import OtlpFiles

_LIMITS = "SET memory_limit='300MB'; SET threads=2; SET preserve_insertion_order=false"


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
        place = os.path.realpath(source.path)  # a link in a circle is no fault yet
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
        told = [
            f"{count} damaged {what[: -1 if count == 1 else None]} in {path}, skipped"
            for *counts, path in self._db.execute("SELECT lines, spans, path FROM files").fetchall()
            for count, what in zip(counts, ("lines", "spans"), strict=True)
            if count
        ]
        told += [f"{path} cannot be read, left out" for path in self._closed]
        told += self.source.passed_over
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
                if self._usable(db) and not changes(db, files):
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

    def _update(self, db: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
        db.execute("BEGIN")
        gc.disable()  # millions of small tuples, none of them in a circle
        try:
            self._closed += take.take(db, files, only=files == [self.source.path])
        finally:
            gc.enable()
        db.execute("COMMIT")


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
