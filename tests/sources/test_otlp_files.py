"""Spool files as they are met: growing, damaged, doubled, vanishing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gentrace.core.errors import SourceError
from gentrace.sources import Window, open_source
from gentrace.sources.files import opened
from gentrace.sources.otlp_files import OtlpFiles, _whole_lines
from tests.core import traces


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    traces.write(tmp_path / "spans-a.jsonl", traces.completed(), traces.failed())
    return tmp_path


def names(source: OtlpFiles) -> int:
    return sum(len(trace.spans) for trace in source.traces().traces)


def test_a_trace_may_lie_in_many_files(tmp_path: Path) -> None:
    made = traces.completed()
    for number, span in enumerate(made.spans):
        with (tmp_path / f"spans-{number % 3}.jsonl").open("a") as file:
            file.write(traces.line(span))
    (trace,) = OtlpFiles(tmp_path).traces().traces
    assert trace.trace_id == made.trace_id
    assert {span.span_id for span in trace.spans} == {span.span_id for span in made.spans}
    assert [s.start_ns for s in trace.spans] == sorted(s.start_ns for s in made.spans)


def test_records_of_processes_and_other_signals_are_no_spans(spool: Path) -> None:
    (spool / "processes-a.jsonl").write_text('{"gentraceProcess": {"pid": 1}}\nnot json\n')
    (spool / "logs.jsonl").write_text('{"resourceLogs": []}\n')
    (spool / "README.txt").write_text("no spans here\n")
    source = OtlpFiles(spool)
    assert len(source.traces().traces) == 2
    assert source.notes == []


def test_an_unfinished_last_line_is_left_and_read_once_it_is_whole(tmp_path: Path) -> None:
    path = traces.write(tmp_path / "spans-a.jsonl", traces.completed())
    whole = traces.line(*traces.failed().spans)
    source = OtlpFiles(path)
    for cut in (1, len(whole) // 2, len(whole) - 2):
        with path.open("a") as file:
            file.write(whole[:cut])
        assert len(source.traces().traces) == 1
        assert source.notes == []
        with path.open("r+") as file:
            file.truncate(path.stat().st_size - cut)
    with path.open("a") as file:
        file.write(whole.rstrip("\n"))
    assert len(source.traces().traces) == 2


@pytest.mark.parametrize("damage", ['{"resourceSpans": [', "\0" * 40, "[1]", '{"a": }', "\xff{"])
def test_a_damaged_line_is_said_once_and_the_rest_is_answered(spool: Path, damage: str) -> None:
    path = spool / "spans-a.jsonl"
    text = path.read_text()
    path.write_bytes(damage.encode("latin-1") + b"\n" + text.encode())
    source = OtlpFiles(spool)
    assert len(source.traces().traces) == 2
    assert source.by_generation("28").traces
    assert source.notes == [f"1 damaged line in {path}, skipped"]


def test_a_damaged_span_leaves_the_others_of_its_line(tmp_path: Path) -> None:
    request = traces.request(*traces.failed().spans)
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = "?"
    (tmp_path / "spans-a.jsonl").write_text(json.dumps(request) + "\n")
    source = OtlpFiles(tmp_path)
    assert names(source) == len(traces.failed().spans) - 1
    assert "1 damaged span in" in source.notes[0]


def test_of_spans_with_one_id_the_one_that_ended_last_is_kept(tmp_path: Path) -> None:
    first, second = traces.Tracer("twice", "1"), traces.Tracer("twice", "1")
    first.span("generation", 0, 5, generation__outcome="failed")
    second.span("generation", 0, 9, generation__outcome="completed")
    later = traces.write(tmp_path / "runs-a.jsonl", second)
    earlier = traces.write(tmp_path / "runs-b.jsonl", first)
    os.utime(earlier, ns=(1, time.time_ns() - 10**10))
    assert later.stat().st_mtime_ns > earlier.stat().st_mtime_ns
    ((span,),) = [trace.spans for trace in OtlpFiles(tmp_path).traces().traces]
    assert span.attributes["generation.outcome"] == "completed"


def test_looking_up(spool: Path) -> None:
    source = OtlpFiles(spool)
    (found,) = source.by_generation("28").traces
    assert found.trace_id == traces.trace_id("28")
    assert len(found.spans) == len(traces.completed().spans)
    assert source.by_generation("8").traces == ()
    (found,) = source.by_attribute("generation.provider.job_id", "4711").traces
    assert found.trace_id == traces.trace_id("28")
    assert source.by_attribute("http.response.status_code", "400").traces
    assert [t.trace_id for t in source.trace(traces.trace_id("29"))] == [traces.trace_id("29")]
    assert [t.trace_id for t in source.trace(traces.trace_id("29")[:9].upper())] == [
        traces.trace_id("29")
    ]
    assert source.trace("0" * 32) == []


def test_an_id_that_json_escapes_is_found(tmp_path: Path) -> None:
    made = traces.Tracer("odd", 'né/"1"')
    made.span("create_generation", 0, 5)
    traces.write(tmp_path / "spans-a.jsonl", made)
    assert OtlpFiles(tmp_path).by_generation('né/"1"').traces


def test_traces_of_a_window(tmp_path: Path) -> None:
    hour = 3_600 * 10**9
    old = traces.write(tmp_path / "spans-a.jsonl", traces.completed())
    traces.write(
        tmp_path / "spans-b.jsonl", traces.completed("b", "2", start_ns=traces.START + hour)
    )
    source = OtlpFiles(tmp_path)
    assert len(source.traces(Window(traces.START + hour)).traces) == 1
    assert len(source.traces(Window(0, traces.START)).traces) == 1
    assert len(source.traces(Window(traces.START, traces.START + hour)).traces) == 2
    os.utime(old, ns=(1, traces.START))
    assert len(source.traces(Window(traces.START + 1)).traces) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder"):
        OtlpFiles(tmp_path / "none").traces()
    assert OtlpFiles(tmp_path / "none", may_be_missing=True).is_empty()


def test_files_that_cannot_be_read(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = traces.write(spool / "spans-b.jsonl", traces.refused())

    def denied(path: Path, *args: Any) -> Any:
        if path == other:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args)

    monkeypatch.setattr("gentrace.sources.otlp_files.opened", denied)
    source = OtlpFiles(spool)
    assert len(source.traces().traces) == 2
    assert source.notes == [f"{other} cannot be read (Permission denied), left out"]
    with pytest.raises(SourceError, match="Permission denied"):
        OtlpFiles(other).traces()


WRITER = """
import sys
from pathlib import Path
from tests.core import traces
path = Path(sys.argv[1])
with path.open("ab", buffering=0) as file:
    for number in range(400):
        made = traces.completed(f"w{sys.argv[2]}-{number}", f"{sys.argv[2]}{number:03}")
        text = traces.line(*made.spans).encode()
        file.write(text[:100])
        file.write(text[100:])
"""


def test_reading_while_other_processes_write(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / f"spans-{n}.jsonl", n], cwd=root)
        for n in ("1", "2")
    ]
    source, seen = OtlpFiles(tmp_path), 0
    size = len(traces.completed().spans)
    while any(writer.poll() is None for writer in writers):
        found = source.traces().traces
        assert all(len(trace.spans) == size for trace in found)
        assert len(found) >= seen
        seen = len(found)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(source.traces().traces) == 800
    assert source.notes == []


def test_which_source_is_opened(tmp_path: Path) -> None:
    file = traces.write(tmp_path / "x" / "spans-a.jsonl", traces.completed())
    env = {"GENTRACE_SPOOL": str(tmp_path / "x"), "GENTRACE_SOURCE": ""}
    assert not open_source("", env).is_empty()
    env["GENTRACE_SOURCE"] = str(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="GENTRACE_SOURCE"):
        open_source("", env).is_empty()
    assert not open_source(str(file), env).is_empty()
    assert open_source("http://localhost:16686", env).description == "Jaeger http://localhost:16686"


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
)
def test_an_empty_spool_while_spans_go_elsewhere(tmp_path: Path, name: str) -> None:
    env = {"GENTRACE_SPOOL": str(tmp_path), name: "http://jaeger.local:4318"}
    with pytest.raises(SourceError, match=r"--source http://jaeger\.local:16686`") as caught:
        open_source("", env)
    assert caught.value.exit_code == 3
    traces.write(tmp_path / "spans-a.jsonl", traces.completed())
    assert not open_source("", env).is_empty()


def test_a_line_that_is_read_in_pieces_is_one_line() -> None:
    """A file's iterator gives a piece at its end, and goes on when there is more."""
    assert list(_whole_lines([b"ab", b"c\n", b"d\n", b"e"])) == [b"abc\n", b"d\n", b"e"]
