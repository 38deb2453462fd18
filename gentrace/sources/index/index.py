"""Keeps the index beside the files: reads what is new in them, and starts over where it must.

Nobody ever writes into an index that others read. Each update works on a copy of its own and puts
it in the old one's place in one step, so that any number of processes may do so at once. Where
none can be kept (no room, no rights, no locks) one is made for the answer alone, and that is said.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfile, rmtree
from types import TracebackType

import duckdb

from gentrace.core.spans import Trace, repeated, traces
from gentrace.sources.index import places, tables, take
from gentrace.sources.index.known import changes
from gentrace.sources.index.tables import RunColumns
from gentrace.sources.otlp_files import OtlpFiles, not_read

_LIMITS = "SET memory_limit='300MB'; SET threads=2; SET preserve_insertion_order=false"
_LOCKS = "lock on file"
"""Of DuckDB's words for a file system without locks (NFS, SMB): that index is not damaged."""


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
        self._place = os.path.realpath(source.path)  # a link in a circle is no fault yet
        self._own: Path | None = None
        self._closed: list[Path] = []
        self._cut: list[str] = []
        self._unkept = ""
        name = hashlib.sha256(self._place.encode()).hexdigest()[:24]
        try:
            self._db = self._kept(folder, name)
        except (duckdb.Error, OSError) as exc:
            self._unkept = _why(exc)
            self._db = self._unkept_one()

    def __enter__(self) -> RunIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None
    ) -> None:
        self._db.close()
        self._leave()

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
        told += [not_read(path) for path in self._closed] + self._cut
        told += self.source.passed_over
        told += [self._unkept] if self._unkept else []
        ((twice,),) = self._db.execute(tables.REPEATED).fetchall()
        return [*told, repeated(twice, "run span")] if twice else told

    def _kept(self, folder: Path | None, name: str) -> duckdb.DuckDBPyConnection:
        """The index in the folder for indexes; one that is damaged is thrown away.

        Raises:
            duckdb.Error or OSError: none can be kept there.
        """
        path = places.kept(folder) / f"{name}.duckdb"
        try:
            return self._open(path)
        except duckdb.Error as exc:
            if not path.exists() or _LOCKS in str(exc):
                raise
            path.unlink()  # damaged, of another DuckDB, or of another user
            return self._open(path)

    def _unkept_one(self) -> duckdb.DuckDBPyConnection:
        """An index for this answer alone: in a temporary folder, where not even that, in memory."""
        try:
            self._own = places.temporary()
            return self._renewed(self._own / "index.duckdb", self._files(), usable=False)
        except (duckdb.Error, OSError):
            self._leave()
        except BaseException:
            self._leave()
            raise
        db = duckdb.connect(":memory:", config={"temp_directory": ""})
        try:
            self._fill(db, self._files(), usable=False)
        except BaseException:
            db.close()
            raise
        return db

    def _leave(self) -> None:
        if self._own is not None:
            rmtree(self._own, ignore_errors=True)
            self._own = None

    def _files(self) -> list[Path]:
        """What is to be read; files that may not be are left out and remembered."""
        files = [path for path in self.source.files() if path.is_file()]
        self._closed = [path for path in files if not os.access(path, os.R_OK)]
        if self.source.path not in self._closed:
            files = [path for path in files if path not in self._closed]
        return files

    def _open(self, path: Path) -> duckdb.DuckDBPyConnection:
        files = self._files()
        usable = False
        if path.exists():
            db = duckdb.connect(str(path), read_only=True)
            try:
                usable = self._usable(db)
                if usable and not changes(db, files):
                    return db
            except BaseException:
                db.close()
                raise
            db.close()
        return self._renewed(path, files, usable)

    def _renewed(
        self, path: Path, files: Sequence[Path], usable: bool
    ) -> duckdb.DuckDBPyConnection:
        """The index at that path up to date, its old content as a start where that is usable."""
        workshop = places.workshop(path.parent, path.stem)
        made = workshop / path.name
        try:
            if usable:
                copyfile(path, made)
            with duckdb.connect(str(made)) as db:
                db.execute(_LIMITS)
                self._fill(db, files, usable)
                db.execute("CHECKPOINT")  # closing would keep silent where the disk is full
            try:
                made = made.replace(path)
            except PermissionError:  # another process has the old one open, on Windows
                self._own = workshop
            return duckdb.connect(str(made), read_only=True)
        finally:
            if workshop != self._own:
                rmtree(workshop, ignore_errors=True)

    def _usable(self, db: duckdb.DuckDBPyConnection) -> bool:
        return db.execute("FROM about").fetchall() == [(tables.VERSION, self._place)]

    def _fill(self, db: duckdb.DuckDBPyConnection, files: Sequence[Path], usable: bool) -> None:
        if not usable:
            db.execute(tables.SCHEMA)
            db.execute("INSERT INTO about VALUES (?, ?)", [tables.VERSION, self._place])
        db.execute("BEGIN")
        collects = gc.isenabled()
        gc.disable()  # millions of small tuples, none of them in a circle
        try:
            self._cut = take.take(db, files, files == [self.source.path], self.source.tell)
        finally:
            if collects:
                gc.enable()
        db.execute("COMMIT")


def _why(exc: Exception) -> str:
    """What to say of an index that cannot be kept."""
    told = exc.strerror if isinstance(exc, OSError) else None
    return (
        f"no index could be kept ({told or str(exc).partition(chr(10))[0]}), so every file was "
        "read for this answer; XDG_CACHE_HOME names another folder for indexes"
    )
