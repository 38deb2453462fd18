"""Rotated and packed files are read as the others are, and once; what is not read is said."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gentrace.core.errors import SourceError
from gentrace.sources import packed, rotated
from gentrace.sources.index import RunIndex, take
from gentrace.sources.otlp_files import OtlpFiles
from tests.core import traces
from tests.sources.test_index import a_run, ids, lines, put
from tests.sources.test_scan import _protobuf

zstd = packed._zstd()
RUNS = [a_run(n) for n in range(1, 4)]
TEXT = "".join(f"{line}\n" for line in lines(*RUNS)).encode()


def _framed(*messages: bytes) -> bytes:
    return b"".join(len(each).to_bytes(4, "big") + each for each in messages)


def _messages() -> list[bytes]:
    """Requests as protobuf."""
    found: list[bytes] = []
    for run in RUNS:
        told = json.loads(_protobuf(traces.request(*run.spans)))
        found.append(ParseDict(told, ExportTraceServiceRequest()).SerializeToString())
    return found


def _each(pack: Callable[[bytes], bytes], messages: Sequence[bytes]) -> list[bytes]:
    return [pack(each) for each in messages]


PACKED: dict[str, bytes] = {
    "gzip": gzip.compress(TEXT),
    "gzip, one after the other": gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:]),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "zstd": zstd.compress(TEXT),
    "the Collector's zstd": _framed(*_each(zstd.compress, TEXT.splitlines())),
    "its native zstd": b"".join(zstd.compress(each) for each in TEXT.splitlines(keepends=True)),
    "its protobuf": _framed(*_messages()),
    "its protobuf in zstd": _framed(*_each(zstd.compress, _messages())),
    "its protobuf in native zstd": zstd.compress(_framed(*_messages())),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "traces"
    made.mkdir()
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def listed(source: OtlpFiles) -> list[str]:
    found = source.traces().traces
    return [trace.spans[0].text("generation.id") or "" for trace in found]


@pytest.mark.parametrize("how", PACKED)
@pytest.mark.parametrize("name", ["traces.jsonl", "traces.jsonl.gz"])
def test_whatever_it_is_packed_in(folder: Path, cache: Path, how: str, name: str) -> None:
    (folder / name).write_bytes(PACKED[how])
    for source in (OtlpFiles(folder), OtlpFiles(folder / name)):
        assert listed(source) == ["1", "2", "3"]
        assert list(source.notes) == []
    assert ids(folder, cache) == ["1", "2", "3"]


@pytest.mark.parametrize("how", PACKED)
def test_a_packed_file_that_is_still_written(folder: Path, cache: Path, how: str) -> None:
    """What is there so far, without a word; the rest when it has come."""
    path, whole = folder / "traces.jsonl", PACKED[how]
    for size in (*range(8), len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:size])
        source = OtlpFiles(folder)
        found = listed(source)
        assert found == ["1", "2", "3"][: len(found)]
        assert ids(folder, cache) == found
        if size > 8:
            assert list(source.notes) == []
    path.write_bytes(whole)
    assert ids(folder, cache) == ["1", "2", "3"]


def test_spans_that_are_told_by_others_are_found_again_in_it(folder: Path, cache: Path) -> None:
    tracers = [traces.unfinished(), *RUNS]
    (folder / "traces.jsonl.1.gz").write_bytes(gzip.compress("\n".join(lines(*tracers)).encode()))
    with RunIndex(OtlpFiles(folder), cache) as found:
        (other,) = found.others()
    assert other.trace_id == tracers[0].trace_id
    assert len(other.spans) > 1


@pytest.mark.parametrize(
    "name",
    ["traces.jsonl.1", "traces.jsonl.12.gz", "traces.jsonl-20260702.zst", "traces.json.bz2",
     "traces-2026-07-02T14-00-00.000-size.jsonl", "traces-2026-07-02T14-00-00.000.ndjson.xz",
     "traces.zst", "TRACES.JSONL.GZ", "traces.jsonl.2026-07-02T14:00:00Z.gz"],
)  # fmt: skip
def test_names_of_rotated_files(name: str) -> None:
    assert rotated.is_named_so(name)


@pytest.mark.parametrize("name", ["traces.log.gz", "traces.jsonl.bak", "jsonl", "a.json5", "x.gz"])
def test_names_of_other_files(name: str) -> None:
    assert not rotated.is_named_so(name)
    assert not rotated.unread(name)


def test_what_is_packed_in_a_way_that_is_not_read_is_said(folder: Path) -> None:
    put(folder / "traces.jsonl", *lines(a_run(1)))
    (folder / "traces.jsonl.2.lz4").write_bytes(b"\x04\x22\x4d\x18")
    source = OtlpFiles(folder)
    assert listed(source) == ["1"]
    assert list(source.notes) == [
        f"{folder / 'traces.jsonl.2.lz4'} is packed in a way that is not read (lz4), passed over"
    ]


def test_the_rotation_of_a_single_file_is_said(folder: Path) -> None:
    path = folder / "traces.jsonl"
    put(path, *lines(a_run(1)))
    put(folder / "others.jsonl", *lines(a_run(2)))
    assert (listed(OtlpFiles(path)), list(OtlpFiles(path).notes)) == (["1"], [])
    for name in ("traces-2026-07-02T14-00-00.000-size.jsonl", "traces.jsonl.2.gz"):
        (folder / name).write_bytes(TEXT)
    source = OtlpFiles(path)
    assert listed(source) == ["1"]
    (note,) = source.notes
    assert "2 older files of its rotation lie" in note


def read_anew(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which files are read from now on, and from where."""
    found: list[tuple[str, int]] = []
    real = take._read

    def read(path: Path, known: Any, *more: Any) -> Any:
        found.append((path.name, known.read_to))
        return real(path, known, *more)

    monkeypatch.setattr(take, "_read", read)
    return found


@pytest.mark.parametrize("grown", [False, True])
def test_a_rotated_file_goes_on_under_its_new_name(
    folder: Path, cache: Path, grown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, older = folder / "traces.jsonl", folder / "traces-2026-07-02T14-00-00.000-size.jsonl"
    put(path, *lines(a_run(1), a_run(2)))
    size = path.stat().st_size
    assert ids(folder, cache) == ["1", "2"]
    if grown:
        put(path, *lines(a_run(3)))
    path.rename(older)
    put(path, *lines(a_run(4)))
    read = read_anew(monkeypatch)
    expected = ["1", "2", "3", "4"] if grown else ["1", "2", "4"]
    with RunIndex(OtlpFiles(folder), cache) as found:
        assert found.columns().ids.tolist() == expected
        assert list(found.notes) == []
    assert sorted(read) == sorted([(older.name, size), (path.name, 0)])
    read.clear()
    assert ids(folder, cache) == expected
    assert read == []


def test_a_rotated_file_that_was_packed_counts_once(folder: Path, cache: Path) -> None:
    path, older = folder / "traces.jsonl", folder / "traces.jsonl.1.gz"
    put(path, *lines(a_run(1), a_run(2)))
    assert ids(folder, cache) == ["1", "2"]
    older.write_bytes(gzip.compress(path.read_bytes()))
    assert ids(folder, cache) == ["1", "2"]  # both are there for a moment
    path.unlink()
    put(path, *lines(a_run(3)))
    assert ids(folder, cache) == ["1", "2", "3"]


def test_two_files_that_swap_their_names(folder: Path, cache: Path) -> None:
    one, two = folder / "a.jsonl", folder / "b.jsonl"
    put(one, *lines(a_run(1)))
    put(two, *lines(a_run(2)))
    assert ids(folder, cache) == ["1", "2"]
    one.rename(folder / "c")
    two.rename(one)
    (folder / "c").rename(two)
    assert ids(folder, cache) == ["1", "2"]
    two.unlink()
    assert ids(folder, cache) == ["2"]


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "the Collector's zstd": lambda text: _framed(zstd.compress(text)),
}


@pytest.mark.parametrize("how", BOMBS)
@pytest.mark.parametrize("what", [b"\0", b"\n", b"{}\n"])
def test_what_unpacks_without_end(
    folder: Path, cache: Path, how: str, what: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "MOST_BYTES", 100_000)
    monkeypatch.setattr(packed, "MOST_TIMES", 20)
    put(folder / "a.jsonl", *lines(a_run(1)))
    bomb = folder / "b.jsonl.1.gz"
    bomb.write_bytes(BOMBS[how](lines(a_run(2))[0].encode() + b"\n" + what * 3_000_000))
    source = OtlpFiles(folder)
    assert set(listed(source)) >= {"1"}
    (note,) = [note for note in source.notes if "not read to its end" in note]
    assert note.startswith(f"{bomb} is not read to its end: unpacked it ")
    with RunIndex(OtlpFiles(folder), cache) as found:
        assert "1" in found.columns().ids.tolist()
        assert [text for text in found.notes if text.startswith(f"{bomb} is not read to its end")]


@pytest.mark.parametrize("how", [each for each in PACKED if "proto" not in each])
def test_a_damaged_one(folder: Path, cache: Path, how: str) -> None:
    """Its beginning is taken, and that it is damaged is said; no other file suffers."""
    put(folder / "a.jsonl", *lines(a_run(9)))
    whole = bytearray(PACKED[how])
    whole[len(whole) // 2] ^= 0xFF
    whole[len(whole) // 2 + 1] ^= 0xFF
    (folder / "b.jsonl").write_bytes(bytes(whole))
    source = OtlpFiles(folder)
    assert "9" in listed(source)
    assert source.notes
    assert "9" in ids(folder, cache)


def test_without_a_library_for_zstd(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("backports", "backports.zstd", "compression"):
        monkeypatch.setitem(sys.modules, name, None)
    put(folder / "a.jsonl", *lines(a_run(9)))
    (folder / "b.zst").write_bytes(PACKED["zstd"])
    source = OtlpFiles(folder)
    assert listed(source) == ["9"]
    (note,) = source.notes
    assert "gentrace[cli]" in note


def test_a_length_that_is_none_takes_no_memory(folder: Path) -> None:
    put(folder / "a.jsonl", *lines(a_run(9)))
    (folder / "b.jsonl").write_bytes(b"\x08\xff\xff\xff" + zstd.compress(TEXT))
    source = OtlpFiles(folder)
    assert listed(source) == ["9"]


def test_what_a_crash_of_the_machine_leaves_is_no_length(folder: Path, cache: Path) -> None:
    for count in range(1, 9):
        (folder / "a.jsonl").write_bytes(b"\0" * count + b"\n" + TEXT)
        assert listed(OtlpFiles(folder)) == ["1", "2", "3"]
        assert ids(folder, cache) == ["1", "2", "3"]


def test_a_named_pipe_is_still_none(folder: Path) -> None:
    os.mkfifo(folder / "a.jsonl.1.gz")
    with pytest.raises(SourceError, match="a named pipe"):
        listed(OtlpFiles(folder))
