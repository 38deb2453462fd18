"""The spool cannot be written, its disk is full, its lines are damaged: one line, the host on."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from functools import cache
from pathlib import Path

import pytest

from gentrace.sources import processes
from tests.e2e import reading
from tests.e2e.faults import (
    WHOLE,
    in_time,
    listed,
    one_line_each,
    run_and_stop,
    spooled_whole,
)
from tests.support.programs import Program
from tests.support.small_host import ARQ, UVICORN, SmallHost, small_host

SMALL_FILES = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
os.execv(sys.argv[2], sys.argv[2:])
"""
SMALL_DISK = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts API and worker."""
    with small_host(api=False, workers=0, failed=anything_failed) as running:
        yield running


@pytest.fixture(scope="module")
def without(host: SmallHost) -> list[float]:
    """The seconds that API and worker take to end without gentrace."""
    return run_and_stop(host, {})[0]


@pytest.mark.parametrize("folder", ["file/spool", "file", "/proc/gentrace", "link"])
def test_a_folder_that_cannot_be_made(
    host: SmallHost, without: list[float], tmp_path: Path, folder: str
) -> None:
    """Not by root either."""
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "link").symlink_to(tmp_path / "file" / "below")
    spool = tmp_path / folder
    took, programs, _ = run_and_stop(host, {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)})
    in_time(took, without)
    for line in one_line_each(programs):
        assert f"the spool {spool} cannot be written (" in line
        assert "spans are lost" in line
    assert (tmp_path / "file").read_text() == "in the way"


# -- the disk ------------------------------------------------------------------------------
@cache
def small_disk() -> tuple[str, ...] | None:
    """Runs a command in a name space of its own; None where this system allows no such thing."""
    for unshare in (("unshare", "-m"), ("unshare", "-rm")):
        tried = [*unshare, "sh", "-c", SMALL_DISK, "/mnt", "true"]
        try:
            if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
                return (*unshare, "sh", "-c", SMALL_DISK)
        except OSError:
            break
    return None


def seen_by(program: Program, folder: Path) -> Path:
    """The folder as the program sees it, with what is mounted there for it alone."""
    return Path(f"/proc/{program.pid}/root{folder}")


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        for size in (65536, 1024, 1):
            while _takes(filler, size):
                pass


def _takes(file: io.FileIO, size: int) -> bool:
    try:
        return bool(file.write(b"\0" * size))
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            return False
        raise


def test_a_disk_that_is_full_and_has_room_again(
    host: SmallHost, without: list[float], tmp_path: Path
) -> None:
    """A real small file system, of each process its own; a limit on files where none is allowed."""
    mounted = small_disk()
    if mounted is None:
        only_small_files(host, tmp_path)
        return
    disk = tmp_path / "disk"
    disk.mkdir()
    spool = disk / "spool"
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)}
    command = (*mounted, str(disk))
    with host.running(env, api=[*command, *UVICORN], worker=[*command, *ARQ]) as programs:
        disks = [seen_by(program, spool) for program in programs]
        kept = str(host.run()["id"])
        wait_whole(programs, disks, kept)
        for each in disks:
            fill(each)
        lost = host.run()
        for program in programs:
            program.wait_until(lambda program=program: len(program.said()) == 2, "says so")
        for each in disks:
            (each / "filler").unlink()
        after = str(host.run()["id"])
        wait_whole(programs, disks, after)
        spans = [span for each in disks for span in reading.spooled(each)]  # every line is whole
        assert lost["status"] == "completed"
        assert not reading.complete([str(lost["id"])], WHOLE)(spans)
        copies = [tmp_path / program.name for program in programs]
        for copy, each, program in zip(copies, disks, programs, strict=True):
            program.send(signal.SIGSTOP)
            subprocess.run(["cp", "-r", str(each), str(copy)], check=True)
            program.send(signal.SIGCONT)
    for line in one_line_each(programs):
        assert f"the spool {spool} cannot be written (No space left on device)" in line
    for copy in copies:
        found, said = listed(copy, tmp_path)
        assert {kept, after} <= {g["id"] for g in found}
        assert said == []


def wait_whole(programs: Sequence[Program], disks: Sequence[Path], generation_id: str) -> None:
    """Wait until the spools together have the generation's whole trace."""
    whole = reading.complete([generation_id], WHOLE)
    programs[0].wait_until(
        lambda: whole([span for each in disks for span in reading.spooled(each)]), "is whole"
    )


def test_a_limit_on_the_size_of_files(host: SmallHost, tmp_path: Path) -> None:
    only_small_files(host, tmp_path)


def only_small_files(host: SmallHost, tmp_path: Path) -> None:
    """The API's files may have 6 kB, its log, too; a batch of spans is longer."""
    spool = tmp_path / "spool"
    env = {
        "GENTRACE": "1",
        "GENTRACE_SPOOL": str(spool),
        "DATABASE_URL": "sqlite+aiosqlite:///:memory:",  # its files would be limited, too
    }
    limited = [sys.executable, "-c", SMALL_FILES, "6000", sys.executable, *UVICORN]
    with host.running(env, api=limited, worker=None) as programs:
        ids = [host.submit(f"number {number}") for number in range(4)]
        programs[0].wait_until(lambda: len(programs[0].said()) == 2, "says so")
        assert [host.generation(i)["status"] for i in ids] == ["pending"] * 4
    (line,) = one_line_each(programs)
    assert f"cannot be written ({os.strerror(errno.EFBIG)})" in line
    for path in spool.glob("*.jsonl"):
        text = path.read_text(encoding="utf-8")
        assert len(text) <= 6000
        assert not text or text.endswith("\n")
    reading.spooled(spool)  # every line is whole
    listed(spool, tmp_path)
    host.forget_jobs()  # another database's


def test_what_was_lost_is_in_the_record(host: SmallHost, tmp_path: Path) -> None:
    """The spool's folder can be made later, as a disk may have room again."""
    way, spool = tmp_path / "way", tmp_path / "way" / "spool"
    way.write_text("in the way")
    with host.running({"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)}) as programs:
        assert host.run()["status"] == "completed"
        for program in programs:
            program.wait_until(lambda program=program: len(program.said()) == 2, "says so")
        way.unlink()
        spooled_whole(spool, str(host.run()["id"]), programs[0])
    assert len(one_line_each(programs)) == 2
    records = processes.read(spool)
    assert len(records) == 2
    assert all(int(record.text("spans_lost")) > 0 for record in records)


# -- its files -----------------------------------------------------------------------------
def test_a_damaged_line_and_half_a_line(host: SmallHost, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with host.running({"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)}) as programs:
        generation_id = str(host.run()["id"])
        spooled_whole(spool, generation_id, programs[0])
    before, said = listed(spool, tmp_path)
    assert (generation_id, "completed") in [(g["id"], g["outcome"]) for g in before]
    assert said == []
    file = max(spool.glob("spans-*.jsonl"), key=lambda path: path.stat().st_size)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b'{"resourceSpans": [{"dam\x00aged\xff"\n' + b"".join(lines) + lines[0][:100])
    after, said = listed(spool, tmp_path)
    assert after == before
    assert len(said) == 1
    assert file.name in said[0]


def test_files_that_somebody_removes(host: SmallHost, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with host.running({"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)}) as programs:
        spooled_whole(spool, str(host.run()["id"]), programs[0])
        for path in spool.iterdir():
            path.unlink()
        spool.rmdir()
        spooled_whole(spool, str(host.run()["id"]), programs[0])
    assert [len(program.said()) for program in programs] == [1, 1]
    for path in spool.glob("*.jsonl"):
        assert [json.loads(line) for line in path.read_text().splitlines()]
