"""The index says what the files say, whatever becomes of files and index meanwhile."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gentrace.core import names
from gentrace.sources.index import RunColumns, RunIndex, places
from gentrace.sources.otlp_files import OtlpFiles
from tests.core import traces
from tests.core.traces import Tracer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def a_run(number: int, end_ms: float = 5_000, **attributes: Any) -> Tracer:
    """A trace of two spans: its creation and its run span."""
    tracer = Tracer(f"run-{number}", str(number), traces.START + number * 10**9)
    tracer.span(names.CREATE_GENERATION, 0, 10, service="api")
    told: dict[str, Any] = {
        "generation__outcome": "completed", "generation__model": "v5", "generation__run": 1,
        "generation__time__queue_s": 1.5, "gentrace__processes": ["a", "b"], **attributes,
    }  # fmt: skip
    tracer.span(names.RUN, 0, end_ms, **told)
    return tracer


def lines(*tracers: Tracer) -> list[str]:
    return [json.dumps(traces.request(*t.spans), separators=(",", ":")) for t in tracers]


def put(path: Path, *texts: str, end: str = "\n", mode: str = "a") -> None:
    with path.open(mode) as out:
        out.write("".join(f"{text}\n" for text in texts[:-1]) + texts[-1] + end)


def opened(folder: Path, cache: Path) -> RunIndex:
    return RunIndex(OtlpFiles(folder), cache)


def ids(folder: Path, cache: Path) -> list[str]:
    with opened(folder, cache) as found:
        return found.columns().ids.tolist()


def words(found: RunColumns, row: int) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for at, name, value in zip(*found.attributes, strict=True):
        if at == row:
            told.setdefault(found.words[int(name)], []).append(found.words[int(value)])
    return told


def test_a_run_span_with_everything_it_says(folder: Path, cache: Path) -> None:
    put(folder / "spans.jsonl", *lines(a_run(1), a_run(2, 7_000, generation__model='a "b" \\ ü')))
    with opened(folder, cache) as found:
        columns = found.columns()
        assert list(found.others()) == []
    assert columns.ids.tolist() == ["1", "2"]
    assert ((columns.end_ns - columns.start_ns) / 1e9).tolist() == [5.0, 7.0]
    assert columns.times["queue"].tolist() == [1.5, 1.5]
    assert words(columns, 0) == {
        names.OUTCOME: ["completed"], names.MODEL: ["v5"], names.PROCESSES: ["a,b"],
    }  # fmt: skip
    assert words(columns, 1)[names.MODEL] == ['a "b" \\ ü']
    high, low = columns.traces
    assert f"{high[0]:016x}{low[0]:016x}" == traces.trace_id("run-1")


def test_any_spelling_of_otlp_json_says_the_same(folder: Path, cache: Path, tmp_path: Path) -> None:
    request = traces.request(*a_run(1).spans)
    (span,) = [s for s in spans_of(request) if s["name"] == names.RUN]
    span["startTimeUnixNano"] = int(span["startTimeUnixNano"])
    other = tmp_path / "other"
    other.mkdir()
    turned = json.loads(json.dumps(request))
    for each in spans_of(turned):
        each["name"] = each.pop("name")  # after everything else
    put(folder / "usual.jsonl", *lines(a_run(1)))
    put(other / "spaced.jsonl", json.dumps(request))
    put(other / "turned.jsonl", json.dumps(turned, separators=(",", ":")))
    with opened(folder, cache) as usual, opened(other, cache) as others:
        assert words(others.columns(), 0) == words(usual.columns(), 0)
        assert others.columns().ids.tolist() == ["1"]  # written twice, one run


def spans_of(request: Any) -> Iterator[Any]:
    for block in request["resourceSpans"]:
        for group in block["scopeSpans"]:
            yield from group["spans"]


def test_what_grew_is_read_on_and_nothing_else(folder: Path, cache: Path) -> None:
    path = folder / "spans.jsonl"
    first, second = lines(a_run(1), a_run(2))
    put(path, first, second[:100], end="")
    assert ids(folder, cache) == ["1"]
    put(path, second[100:])
    assert ids(folder, cache) == ["1", "2"]
    put(folder / "more.jsonl", *lines(a_run(3)))
    assert ids(folder, cache) == ["1", "2", "3"]
    (kept,) = cache.iterdir()
    before = kept.stat().st_ino
    assert ids(folder, cache) == ["1", "2", "3"]
    assert kept.stat().st_ino == before  # nothing new, nothing written


def test_a_file_that_shrank_or_is_another_or_is_gone(folder: Path, cache: Path) -> None:
    path = folder / "spans.jsonl"
    put(path, *lines(a_run(1), a_run(2)))
    put(folder / "more.jsonl", *lines(a_run(3)))
    assert ids(folder, cache) == ["1", "2", "3"]
    put(path, *lines(a_run(2)), mode="w")
    assert ids(folder, cache) == ["2", "3"]
    put(path, *lines(a_run(4), a_run(5), a_run(6)), mode="w")  # longer, and another
    assert ids(folder, cache) == ["3", "4", "5", "6"]
    path.unlink()
    assert ids(folder, cache) == ["3"]


def durations(folder: Path, cache: Path) -> set[float]:
    with opened(folder, cache) as found:
        columns = found.columns()
    return {*((columns.end_ns - columns.start_ns) / 1e9).tolist()}


@pytest.mark.parametrize("count", [300, 3_000])  # what is kept as a hash as a whole, and by pieces
def test_a_file_written_anew_in_its_own_place(folder: Path, cache: Path, count: int) -> None:
    path = folder / "spans.jsonl"
    same = lines(*(a_run(n) for n in range(20)))
    put(path, *same, *lines(*(a_run(n, 5_000) for n in range(20, count))))
    assert durations(folder, cache) == {5.0}
    was = path.stat()
    put(path, *same, *lines(*(a_run(n, 6_000) for n in range(20, count))), mode="w")
    assert (path.stat().st_ino, path.stat().st_size) == (was.st_ino, was.st_size)
    assert durations(folder, cache) == {5.0, 6.0}
    longer = [*same, *lines(*(a_run(n, 7_000) for n in range(20, count)), a_run(count, 7_000))]
    put(path, *longer, mode="w")
    assert durations(folder, cache) == {5.0, 7.0}


def test_a_file_written_anew_whose_clock_was_put_back(folder: Path, cache: Path) -> None:
    path = folder / "spans.jsonl"
    put(path, *lines(a_run(1, 5_000)))
    assert durations(folder, cache) == {5.0}
    was = path.stat()
    put(path, *lines(a_run(1, 6_000)), mode="w")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert path.stat().st_mtime_ns == was.st_mtime_ns
    assert durations(folder, cache) == {6.0}


def test_of_a_run_span_written_twice_the_fuller_counts(folder: Path, cache: Path) -> None:
    put(folder / "a.jsonl", *lines(a_run(1, 9_000), a_run(1, 5_000)))
    with opened(folder, cache) as found:
        columns = found.columns()
    assert ((columns.end_ns - columns.start_ns) / 1e9).tolist() == [9.0]


def test_a_run_without_its_run_span_is_told_by_others_until_it_comes(
    folder: Path, cache: Path
) -> None:
    tracer = traces.unfinished()
    put(folder / "spans.jsonl", *lines(tracer))
    with opened(folder, cache) as found:
        (trace,) = found.others()
        assert trace.trace_id == tracer.trace_id
        assert {s.name for s in trace.spans} >= {names.CREATE_GENERATION}
        assert found.columns().ids.tolist() == []
    tracer.span(names.RUN, 0, 9_000, generation__outcome="completed")
    put(folder / "runs.jsonl", *lines(tracer))
    with opened(folder, cache) as found:
        assert list(found.others()) == []
        assert found.columns().ids.tolist() == [tracer.generation]


def test_damaged_lines_are_counted_and_the_rest_is_read(folder: Path, cache: Path) -> None:
    one, two = lines(a_run(1), a_run(2))
    put(folder / "spans.jsonl", one[:200], "no JSON at all", two)
    nowhere = two.replace(traces.trace_id("run-2"), "z")
    put(folder / "spans.jsonl", nowhere)
    with opened(folder, cache) as found:
        assert found.columns().ids.tolist() == ["2"]
        path = folder / "spans.jsonl"
        assert found.notes == [
            f"2 damaged lines in {path}, skipped",
            f"2 damaged spans in {path}, skipped",
        ]


def test_a_damaged_index_is_thrown_away(folder: Path, cache: Path) -> None:
    put(folder / "spans.jsonl", *lines(a_run(1)))
    assert ids(folder, cache) == ["1"]
    (kept,) = cache.iterdir()
    for damage in (b"no database", kept.read_bytes()[:4096], b""):
        kept.write_bytes(damage)
        assert ids(folder, cache) == ["1"]


def test_a_folder_that_cannot_be_written_is_no_hindrance(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "spans.jsonl", *lines(a_run(1)))
    cache.write_text("a file stands in the folder's place")
    assert ids(folder, cache) == ["1"]
    assert {each.name for each in folder.iterdir()} == {"spans.jsonl"}


def _read_often(folder: Path, cache: Path, results: Any) -> None:
    for _ in range(8):
        results.put(len(ids(folder, cache)))


def test_processes_that_update_it_at_once(folder: Path, cache: Path) -> None:
    put(folder / "spans.jsonl", *lines(*(a_run(n) for n in range(20))))
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    readers = [context.Process(target=_read_often, args=(folder, cache, results)) for _ in range(3)]
    for reader in readers:
        reader.start()
    seen: list[int] = []
    for number in range(24):
        put(folder / "spans.jsonl", *lines(a_run(20 + number)))
        seen.append(results.get(timeout=300))
    for reader in readers:
        reader.join(60)
        assert reader.exitcode == 0
    assert min(seen) >= 20
    assert len(ids(folder, cache)) == 44
    assert len([*cache.iterdir()]) == 1


def test_two_places_have_two_indexes(folder: Path, cache: Path, tmp_path: Path) -> None:
    put(folder / "spans.jsonl", *lines(a_run(1)))
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    put(other / "spans.jsonl", *lines(a_run(2)))
    assert (ids(folder, cache), ids(other, cache)) == (["1"], ["1", "2"])


def test_the_default_folder_is_the_users_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "user_cache_path", lambda *_a, **_k: tmp_path / "home")
    put(folder / "spans.jsonl", *lines(a_run(1)))
    with RunIndex(OtlpFiles(folder)) as found:
        assert found.columns().ids.tolist() == ["1"]
    assert len(os.listdir(tmp_path / "home" / "index")) == 1
