"""An index that cannot be kept costs a line and no answer, and leaves nothing behind."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gentrace.sources.index import index, places
from gentrace.sources.index.index import RunIndex
from gentrace.sources.otlp_files import OtlpFiles
from tests.sources.test_index import a_run, lines, put

_CONNECT = duckdb.connect
_COPY = index.copyfile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    put(made / "spans.jsonl", *lines(a_run(1), a_run(2)))
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, which is empty again at the end."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(places.tempfile, "tempdir", str(made))
    yield made
    assert list(made.iterdir()) == []


def answer(folder: Path, cache: Path | None) -> tuple[list[str], list[str]]:
    """The generations, and what is said."""
    with RunIndex(OtlpFiles(folder), cache) as found:
        return found.columns().ids.tolist(), list(found.notes)


def told_once(notes: list[str], why: str) -> None:
    assert len(notes) == 1
    assert why in notes[0]
    assert "XDG_CACHE_HOME" in notes[0]
    assert "\n" not in notes[0]


def refuse(monkeypatch: pytest.MonkeyPatch, where: Path, why: str) -> None:
    """DuckDB cannot open a file below that folder."""

    def connect(path: str, *arguments: Any, **options: Any) -> Any:
        if Path(path).is_relative_to(where):
            raise duckdb.IOException(why)
        return _CONNECT(path, *arguments, **options)

    monkeypatch.setattr(index.duckdb, "connect", connect)


LOCKS = 'IO Error: Could not set lock on file "index.duckdb": No locks available'


def test_a_file_system_without_locks(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, cache, LOCKS)
    ids, notes = answer(folder, cache)
    assert ids == ["1", "2"]
    told_once(notes, "No locks available")
    assert list(cache.iterdir()) == []


def test_a_good_index_outlives_that_its_lock_is_refused(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer(folder, cache) == (["1", "2"], [])
    (kept,) = cache.iterdir()
    refuse(monkeypatch, cache, LOCKS)
    assert answer(folder, cache)[0] == ["1", "2"]
    assert list(cache.iterdir()) == [kept]


def test_no_place_but_memory(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, tmp_path, "IO Error: Disk quota exceeded")
    ids, notes = answer(folder, cache)
    assert ids == ["1", "2"]
    told_once(notes, "Disk quota exceeded")
    monkeypatch.setattr(places, "temporary", _raising(errno.EROFS))
    assert answer(folder, cache)[0] == ["1", "2"]


def _raising(code: int) -> Callable[..., Any]:
    def fails(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fails


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_no_room_for_the_copy(
    folder: Path, cache: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer(folder, cache) == (["1", "2"], [])
    put(folder / "spans.jsonl", *lines(a_run(3)))

    def half(source: Path, copy: Path) -> None:
        _COPY(source, copy)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(index, "copyfile", half)
    ids, notes = answer(folder, cache)
    assert ids == ["1", "2", "3"]
    told_once(notes, os.strerror(code))
    assert [path.suffix for path in cache.iterdir()] == [".duckdb"]
    monkeypatch.undo()
    with RunIndex(OtlpFiles(folder), cache) as found:
        assert list(found.notes) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOENT])
def test_a_folder_that_cannot_be_written(
    folder: Path, cache: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "workshop", _failing_below(cache, code))
    ids, notes = answer(folder, cache)
    assert ids == ["1", "2"]
    told_once(notes, os.strerror(code))


def _failing_below(cache: Path, code: int) -> Callable[[Path, str], Path]:
    workshop = places.workshop

    def fails(folder: Path, name: str) -> Path:
        if folder == cache:
            raise OSError(code, os.strerror(code))
        return workshop(folder, name)

    return fails


def test_what_stands_in_the_folders_place(folder: Path, cache: Path) -> None:
    cache.write_text("a file")
    for place in (cache, cache / "below"):
        ids, notes = answer(folder, place)
        assert ids == ["1", "2"]
        assert len(notes) == 1


def test_no_home(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "user_cache_path", lambda *_a, **_k: Path("~/.cache/gentrace"))
    ids, notes = answer(folder, None)
    assert ids == ["1", "2"]
    told_once(notes, "no home folder")
    assert not (tmp_path / "~").exists()


def test_what_cannot_be_thrown_away_in_the_indexs_place(folder: Path, cache: Path) -> None:
    assert answer(folder, cache) == (["1", "2"], [])
    (kept,) = cache.iterdir()
    kept.unlink()
    kept.mkdir()  # as another user's, where this user may not delete
    ids, notes = answer(folder, cache)
    assert ids == ["1", "2"]
    assert len(notes) == 1
    assert list(cache.iterdir()) == [kept]


def environ(cache: Path, temporary: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(cache), "TMPDIR": str(temporary)}


COMMAND = [sys.executable, "-c", "from gentrace.cli import main; main()", "slow", "--json"]


def test_a_disk_that_fills_while_the_index_is_written(
    folder: Path, cache: Path, temporary: Path
) -> None:
    """What a file may hold stands for what a disk may: the write fails in its middle."""
    put(folder / "many.jsonl", *lines(*(a_run(n) for n in range(10, 2_000))))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [*COMMAND, "--source", str(folder)], env=environ(cache, temporary), preexec_fn=limit,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    both = sum(group["n"] for group in found["groups"].values())
    assert both == 2 * 1_992  # slow makes two comparisons
    assert [note for note in found["notes"] if "no index could be kept" in note]
    assert [path for path in cache.rglob("*") if path.is_file()] == []


KILLED = """
import os, signal, sys
from pathlib import Path
from gentrace.sources.index import RunIndex, take
from gentrace.sources.otlp_files import OtlpFiles
take.take = lambda *_a, **_k: os.kill(os.getpid(), signal.SIGKILL)
RunIndex(OtlpFiles(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def test_what_a_killed_process_leaves_goes_with_the_next_update(
    folder: Path, cache: Path, temporary: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(folder), str(cache)]
    done = subprocess.run(command, env=environ(cache, temporary), timeout=300)
    assert done.returncode == -signal.SIGKILL
    assert len(list(cache.iterdir())) == 1
    assert answer(folder, cache) == (["1", "2"], [])
    assert [path.suffix for path in cache.iterdir()] == [".duckdb"]


def test_what_others_are_making_stays(folder: Path, cache: Path) -> None:
    mine = places.workshop(places.kept(cache), "other")
    elsewhere = cache / "other.0123abcd.99999999.xy.new"
    elsewhere.mkdir()
    foreign = cache / "notes.newer"
    foreign.write_text("")
    _aged(foreign)
    answer(folder, cache)
    assert {mine, elsewhere, foreign} < {*cache.iterdir()}
    _aged(elsewhere)
    for name in ("name1234.new", "name1234.new.wal"):  # as they were called before
        (cache / name).write_text("")
        _aged(cache / name)
    places.clear(cache)
    assert {mine, foreign} == {path for path in cache.iterdir() if path.suffix != ".duckdb"}


def _aged(path: Path) -> None:
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(path, (long_ago, long_ago))
