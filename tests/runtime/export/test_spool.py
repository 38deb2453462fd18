"""The spool's files: whole lines, a segment a kind, bounded, and never a neighbour's damage."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from gentrace.core import names
from gentrace.runtime.export import spool as module
from gentrace.runtime.export.spool import Spool

Make = Callable[..., Spool]
DAY_S = 86_400


@pytest.fixture
def spool(tmp_path: Path) -> Generator[Make]:
    """Makes spools in one folder, each of another process."""
    made: list[Spool] = []

    def make(instance: str = "first", max_bytes: int = 10**9, max_age_s: int = DAY_S) -> Spool:
        made.append(Spool(tmp_path / "spool", max_bytes, max_age_s, instance))
        return made[-1]

    yield make
    for each in made:
        each.close()


def span(name: str = "work") -> ReadableSpan:
    """An ended span."""
    made = TracerProvider(shutdown_on_exit=False).get_tracer("gentrace").start_span(name)
    made.end()
    assert isinstance(made, ReadableSpan)
    return made


def lines(folder: Path, kind: str) -> list[Any]:
    """The parsed lines of all segments of that kind."""
    files = sorted((folder / "spool").glob(f"{kind}-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines() if line]


def names_in(folder: Path, kind: str) -> list[str]:
    return [
        each["name"]
        for line in lines(folder, kind)
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for each in scope["spans"]
    ]


def test_each_kind_has_a_segment_of_its_own(spool: Make, tmp_path: Path) -> None:
    spool().write_spans([span("one"), span(names.RUN), span("two")])
    spool().write_process({"instance": "first"})
    assert names_in(tmp_path, "spans") == ["one", "two"]
    assert names_in(tmp_path, "runs") == [names.RUN]
    assert lines(tmp_path, "processes") == [{"gentraceProcess": {"instance": "first"}}]


def test_nothing_is_made_until_something_is_written(spool: Make, tmp_path: Path) -> None:
    spool().close()
    assert not (tmp_path / "spool").exists()
    spool().write_spans([span()])
    assert [file.name.partition("-")[0] for file in (tmp_path / "spool").iterdir()] == ["spans"]


def test_only_the_user_may_read(spool: Make, tmp_path: Path) -> None:
    spool().write_spans([span()])
    folder = tmp_path / "spool"
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_line_is_one_write(spool: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = os.write

    def watched(fd: int, data: bytes) -> int:
        written.append(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", watched)
    one = spool()
    for _ in range(3):
        one.write_spans([span(f"number {n}") for n in range(50)])
    assert [line.count(b"\n") for line in written] == [1, 1, 1]
    assert all(line.endswith(b"\n") for line in written)
    assert len(names_in(tmp_path, "spans")) == 150


def test_processes_do_not_share_a_file(spool: Make, tmp_path: Path) -> None:
    for instance in ("first", "second"):
        spool(instance).write_spans([span(instance)])
    assert len(list((tmp_path / "spool").iterdir())) == 2
    assert sorted(names_in(tmp_path, "spans")) == ["first", "second"]


def full_after(bytes_: int) -> Callable[[int, bytes], int]:
    """An ``os.write`` for a disk with so much room."""
    write, room = os.write, bytes_

    def writing(fd: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        wrote = write(fd, data[:room])
        room -= wrote
        return wrote

    return writing


def test_what_a_full_disk_cuts_off_is_taken_back(
    spool: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = spool()
    one.write_spans([span("before")])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_after(40))
        with pytest.raises(OSError, match="No space left"):
            one.write_spans([span("torn")])
        (file,) = (tmp_path / "spool").iterdir()
        assert file.read_bytes().count(b"\n") == 1
        assert file.read_bytes().endswith(b"\n")
    one.write_spans([span("after")])
    assert names_in(tmp_path, "spans") == ["before", "after"]


def test_a_part_of_a_line_that_cannot_be_taken_back_costs_no_other_line(
    spool: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = spool()
    one.write_spans([span("before")])

    def refuse(_fd: int, _size: int) -> None:
        raise OSError(errno.EPERM, "not here")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_after(40))
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="No space left"):
            one.write_spans([span("torn")])
    one.write_spans([span("after")])
    (file,) = (tmp_path / "spool").iterdir()
    whole, torn, *rest = file.read_text().splitlines()
    assert len(torn) == 40
    assert [json.loads(line) for line in (whole, *rest)]
    assert "after" in rest[0]


def test_a_short_write_that_can_go_on_is_a_whole_line(
    spool: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:100]))
        spool().write_spans([span("in pieces")])
    assert names_in(tmp_path, "spans") == ["in pieces"]


def test_a_write_that_takes_nothing_does_not_go_on_for_ever(
    spool: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda _fd, _data: 0)
        with pytest.raises(OSError, match="No space left"):
            spool().write_spans([span("lost")])


LIMITED = """
import os, resource, sys
from pathlib import Path
from gentrace.runtime.export.spool import Spool

spool = Spool(Path(sys.argv[1]), 10**9, 10**5, "first")
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
for number in range(40):
    spool.write_process({"instance": "first", "number": number, "text": "x" * 500})
try:
    spool.write_process({"instance": "first", "number": "big", "text": "x" * 5000})
except OSError as exc:
    print(exc.strerror)
spool.write_process({"instance": "first", "number": "last"})
"""


def test_a_limit_on_the_size_of_a_file_opens_another(tmp_path: Path) -> None:
    """A real limit of the system, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "spool")],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == os.strerror(errno.EFBIG)
    files = sorted((tmp_path / "spool").iterdir())
    assert len(files) > 5
    assert max(file.stat().st_size for file in files) <= 3000
    numbers = [line["gentraceProcess"]["number"] for line in lines(tmp_path, "processes")]
    assert numbers == [*range(40), "last"]


def refused_as_nobody(folder: Path) -> str:
    """What a user without rights in that folder is told; by a child, for root has them all."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setuid(65534)
            Spool(folder, 10**9, DAY_S, "first").write_process({"instance": "first"})
        except BaseException as exc:
            os.write(writing, f"{type(exc).__name__}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(pid, 0)
    return text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of threads and fork, Python 3.12
def test_a_folder_without_rights_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o500)
    assert refused_as_nobody(folder) == "PermissionError"
    assert refused_as_nobody(folder / "below") == "PermissionError"
    assert list(folder.iterdir()) == []


def test_a_disk_that_is_full_is_an_error_and_passes(
    spool: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = spool()

    def full(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            one.write_spans([span("lost")])
    one.write_spans([span("kept")])
    assert names_in(tmp_path, "spans") == ["kept"]


def test_a_segment_ends_at_its_size(
    spool: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 5000)
    one = spool()
    for number in range(40):
        one.write_spans([span(f"number {number}")])
    files = list((tmp_path / "spool").iterdir())
    assert len(files) > 3
    assert max(file.stat().st_size for file in files) <= 5000
    assert names_in(tmp_path, "spans") == [f"number {n}" for n in range(40)]


def old(folder: Path, number: int, size: int, age_s: float, name: str = "") -> Path:
    """A segment of a process that is gone."""
    path = folder / "spool" / (name or f"spans-20260101T000000-{number}-0123abcd-0000.jsonl")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)
    written = time.time() - age_s
    os.utime(path, (written, written))
    return path


def test_what_is_too_old_goes(spool: Make, tmp_path: Path) -> None:
    stale = old(tmp_path, 1, 10, 2 * DAY_S)
    fresh = old(tmp_path, 2, 10, DAY_S / 2)
    other = old(tmp_path, 0, 10, 9 * DAY_S, "notes-of-mine.jsonl")
    spool().write_spans([span()])
    assert not stale.exists()
    assert fresh.exists()
    assert other.exists()  # it is not ours


def test_the_oldest_go_until_the_rest_fits(spool: Make, tmp_path: Path) -> None:
    made = [old(tmp_path, n, 1000, 100 - n) for n in range(6)]
    spool(max_bytes=3500).write_spans([span()])
    assert [path.exists() for path in made] == [False] * 3 + [True] * 3


def test_ones_own_segment_stays_however_big_or_old(
    spool: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CLEAN_EVERY_S", 0.0)
    one = spool(max_bytes=1, max_age_s=1)
    one.write_spans([span("first")])
    (file,) = (tmp_path / "spool").iterdir()
    os.utime(file, (1, 1))
    one.write_process({"instance": "first"})
    one.write_spans([span("second")])
    assert names_in(tmp_path, "spans") == ["first", "second"]


def test_a_segment_that_another_process_removed_is_made_anew(spool: Make, tmp_path: Path) -> None:
    one = spool()
    one.write_spans([span("before")])
    (file,) = (tmp_path / "spool").iterdir()
    file.unlink()
    one.write_spans([span("after")])
    assert names_in(tmp_path, "spans") == ["after"]


def test_cleaning_is_rare(spool: Make, tmp_path: Path) -> None:
    one = spool()
    one.write_spans([span()])
    stale = old(tmp_path, 1, 10, 2 * DAY_S)
    one.write_spans([span()])
    assert stale.exists()
