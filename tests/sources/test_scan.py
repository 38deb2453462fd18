"""What is found in a file does not depend on how it is cut into blocks, nor on its layout."""

from __future__ import annotations

import base64
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gentrace.core import names
from gentrace.core.spans import Span
from gentrace.sources.index import RunIndex, scan
from gentrace.sources.index.fields import text
from gentrace.sources.otlp_files import OtlpFiles
from tests.core import traces
from tests.sources.test_index import a_run, lines, spans_of, words

UNFINISHED = traces.unfinished()


def content() -> bytes:
    """Lines of all kinds: runs, damage, a long line, nothing, and one that is not whole."""
    many = [*a_run(3).spans, *a_run(4).spans, *UNFINISHED.spans]
    told = [
        *lines(a_run(1)),
        lines(a_run(2))[0][:150],
        "",
        json.dumps(traces.request(*many)),
        '{"resourceLogs":[{"scopeLogs":[]}]}',
        "null",
        *lines(UNFINISHED, a_run(5)),
        lines(a_run(6))[0].replace('"traceId"', '"trace_id"'),
        *lines(UNFINISHED)[0:1],
        lines(a_run(7))[0].replace("resourceSpans", "resource_spans"),
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"generation"}]}]}]}',
    ]
    return "\n".join([*told, lines(a_run(8))[0][:99]]).encode()


def found(given: bytes, block: int = scan.BLOCK) -> tuple[list[Any], list[Span], int, int]:
    """Runs, spans that tell of others, what is damaged, and up to where it was read."""
    handle = io.BytesIO(given)
    runs: list[Any] = []
    spots: list[tuple[int, int]] = []
    damaged = read_to = 0
    for seen in scan.scan(handle, 0, block):  # pyright: ignore[reportArgumentType]
        runs += [(*run[:4], [(p.key, text(p.value)) for p in run.pairs]) for run in seen.runs]
        spots += [
            (line, place)
            for trace, line, place in zip(seen.telling, seen.lines, seen.places, strict=True)
            if trace == UNFINISHED.trace_id
        ]
        damaged += seen.damaged_lines + seen.damaged_spans
        read_to = seen.read_to
    told = [s for at, place in spots for s in scan.spans_at(handle, at, [place])]
    telling = [span for span in told if span.name in scan.TELLING]  # of others, some
    return runs, telling, damaged, read_to


@pytest.mark.parametrize("block", [1, 2, 63, 64, 500, 1_000, 4_001, 1_000_000])
def test_blocks_of_any_size_find_the_same(block: int) -> None:
    given = content()
    runs, telling, damaged, read_to = found(given)
    assert len(runs) == 6
    assert {s.trace_id for s in telling} == {UNFINISHED.trace_id}
    assert {s.name for s in telling} == {s.name for s in UNFINISHED.spans} & scan.TELLING
    assert damaged == 3
    assert read_to == given.rindex(b"\n") + 1
    assert found(given, block) == (runs, telling, damaged, read_to)


def test_a_last_line_that_is_whole_needs_no_end() -> None:
    given = content()[: content().rindex(b"\n")] + b"\n" + lines(a_run(9))[0].encode()
    for block in (64, 4_001, scan.BLOCK):
        runs, *_, read_to = found(given, block)
        assert (len(runs), read_to) == (7, len(given))


def test_what_is_written_while_it_is_read_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    first, second, third = (line + "\n" for line in lines(a_run(1), a_run(2), a_run(3)))
    path.write_text(first + second[:200])
    numbers: list[int] = []
    read_to = 0
    with path.open("rb", buffering=0) as handle:
        reading = scan.scan(handle, 0, 256)
        seen = next(reading)
        with path.open("a") as out:
            out.write(second[200:] + third[:100])
        for each in (seen, *reading):
            numbers += [run.start_ns for run in each.runs]
            read_to = each.read_to
        assert read_to == len(first + second)
        with path.open("a") as out:
            out.write(third[100:])
        for each in scan.scan(handle, read_to, 256):
            numbers += [run.start_ns for run in each.runs]
    assert len(numbers) == len({*numbers}) == 3


def _sorted(request: Any) -> str:
    return json.dumps(request, sort_keys=True)


def _shuffled(request: Any) -> str:
    rng = random.Random(1)
    for span in spans_of(request):
        rng.shuffle(span["attributes"])
        turned = rng.sample([*span.items()], len(span))
        span.clear()
        span.update(turned)
    return json.dumps(request, separators=(" ,\t", " : "))


def _protobuf(request: Any) -> str:
    for span in spans_of(request):
        for name in ("traceId", "spanId", "parentSpanId"):
            span[name] = base64.b64encode(bytes.fromhex(span.get(name, ""))).decode()
    return json.dumps(request)


def _snake(request: Any) -> str:
    told = json.dumps(request)
    for camel in ("resourceSpans", "scopeSpans", "traceId", "spanId", "stringValue"):
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in camel)
        told = told.replace(f'"{camel}"', f'"{snake}"')
    return told


def _compact(request: Any) -> str:
    return json.dumps(request, separators=(",", ":"))


@pytest.mark.parametrize("write", [_compact, _sorted, _shuffled, _protobuf, _snake])
def test_any_layout_says_the_same(write: Any, tmp_path: Path) -> None:
    odd = a_run(1, generation__model='a "b" \\ü', generation__tries=2, whole=True)
    request = traces.request(*odd.spans, *UNFINISHED.spans)
    (tmp_path / "spans.jsonl").write_text(write(request) + "\n")
    with RunIndex(OtlpFiles(tmp_path), tmp_path / "cache") as index:
        columns = index.columns()
        (other,) = index.others()
    assert columns.ids.tolist() == ["1"]
    assert columns.times["queue"].tolist() == [1.5]
    assert words(columns, 0) == {
        names.OUTCOME: ["completed"], names.MODEL: ['a "b" \\ü'], names.PROCESSES: ["a,b"],
        names.TRIES: ["2"], "whole": ["true"],
    }  # fmt: skip
    assert other.trace_id == UNFINISHED.trace_id
    assert {s.name for s in other.spans} == {s.name for s in UNFINISHED.spans} & scan.TELLING


def test_odd_values_cost_no_run(tmp_path: Path) -> None:
    def odd() -> Iterator[dict[str, Any]]:
        for value in (
            {"intValue": "many"}, {"kvlistValue": {"values": [{"key": "a"}]}}, {}, None,
            {"doubleValue": "NaN"}, {"bytesValue": "AA=="},
        ):  # fmt: skip
            yield {"key": f"odd.{value}", "value": value}
            yield {"key": names.TIMES["queue"], "value": value}

    request = traces.request(*a_run(1).spans)
    for span in spans_of(request):
        span["attributes"] = [*odd(), *span["attributes"]]
    (tmp_path / "spans.jsonl").write_text(_compact(request) + "\n")
    with RunIndex(OtlpFiles(tmp_path), tmp_path / "cache") as index:
        columns = index.columns()
        assert list(index.notes) == []
    assert columns.ids.tolist() == ["1"]
    assert columns.times["queue"].tolist() == [1.5]
    assert words(columns, 0)[names.MODEL] == ["v5"]


def test_half_a_character_is_a_question_mark(tmp_path: Path) -> None:
    tracer = a_run(1, generation__model="v\ud800")
    (tmp_path / "spans.jsonl").write_text(_compact(traces.request(*tracer.spans)) + "\n")
    with RunIndex(OtlpFiles(tmp_path), tmp_path / "cache") as index:
        assert words(index.columns(), 0)[names.MODEL] == ["v?"]


def test_many_files_are_one_source(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.jsonl").write_text(lines(a_run(number))[0] + "\n")
    for _ in range(2):
        with RunIndex(OtlpFiles(tmp_path), tmp_path / "cache") as index:
            assert len(index.columns().ids) == 300
        (tmp_path / "7.jsonl").unlink(missing_ok=True)
        (tmp_path / "new.jsonl").write_text(lines(a_run(1_000))[0] + "\n")
