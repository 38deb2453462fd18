"""Finds run spans in OTLP JSON, and where the spans stand that tell of other runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import RawIOBase
from typing import BinaryIO

from gentrace.core import names, otlp
from gentrace.core.spans import Span
from gentrace.sources.index import typed
from gentrace.sources.index.fields import Fields, from_head, from_span
from gentrace.sources.index.typed import SpanHead

TELLING = frozenset(
    {
        names.CREATE_GENERATION,
        names.ENQUEUE_PREFIX + names.PROCESS_GENERATION,
        names.PROCESS_GENERATION,
        names.ACCOUNT_SELECT,
        names.ACCOUNT_CREDITS,
        names.PROVIDER_EXECUTE,
        names.PROVIDER_POLL,
        names.PROVIDER_WAIT,
        names.STATUS_CHANGE,
        names.FINISH,
    }
)
"""Spans that tell of a run which has no run span (yet): where it is, and how it ended."""

BLOCK = 4 * 1024 * 1024
_BAD = (ValueError, TypeError, RecursionError)


@dataclass(slots=True)
class Seen:
    """What a block of a file holds.

    Attributes:
        runs: the run spans.
        telling: trace ids of spans that tell of runs without a run span in the block.
        lines: where in the file the line of each of these begins.
        places: which span of its line each is; below 0 where the line had to be decoded as a whole.
        read_to: up to where the file is read; a last line that is not whole comes later.
        damaged_lines: lines that could not be understood, and ``damaged_spans`` spans of others.
    """

    runs: list[Fields] = field(default_factory=list[Fields])
    telling: list[str] = field(default_factory=list[str])
    lines: list[int] = field(default_factory=list[int])
    places: list[int] = field(default_factory=list[int])
    read_to: int = 0
    damaged_lines: int = 0
    damaged_spans: int = 0


def scan(handle: RawIOBase, start: int, block: int = BLOCK) -> Iterator[Seen]:
    """Reads a file from ``start``, a block of whole lines at a time; longer lines as they are.

    What a block holds stands in memory that the next one takes: it is to be used before.
    """
    handle.seek(start)
    buffer, held, at = bytearray(block), 0, start
    while size := handle.readinto(memoryview(buffer)[held:]):
        filled = held + size
        end = buffer.rfind(b"\n", held, filled) + 1
        if end:
            yield _block(buffer, end, at)
            at += end
            held = filled - end
            buffer[:held] = buffer[end:filled]
        else:
            held = filled
        if held == len(buffer):
            buffer = buffer + bytearray(held)
    rest = bytes(memoryview(buffer)[:held])
    if rest.strip() and _is_json(rest):
        seen = _block(rest + b"\n", held + 1, at)
        seen.read_to = at + held
        yield seen


def spans_at(handle: BinaryIO, at: int, places: Sequence[int]) -> Iterator[Span]:
    """Those spans of the line that begins there, as :attr:`Seen.places` names them.

    What cannot be understood, or is no longer there, is left out.
    """
    handle.seek(at)
    line = handle.readline()
    try:
        if places[0] < 0:
            spans, _ = otlp.decode(otlp.parse(line))
            yield from (spans[-1 - place] for place in places if -place <= len(spans))
            return
        raw = typed.raw_spans(line)
    except typed.UNFIT:
        return
    for place in places:
        try:
            yield otlp.span(otlp.parse(bytes(raw[place])), {})
        except (*_BAD, IndexError):
            continue


def _block(lines: bytes | bytearray, size: int, at: int) -> Seen:
    """The finds of whole lines, ``size`` bytes that begin at ``at`` in the file."""
    seen = Seen(read_to=at + size)
    view = memoryview(lines)
    known: set[str] = set()
    start = 0
    while start < size:
        end = lines.index(b"\n", start, size) + 1
        line = view[start:end]
        try:
            spans = typed.heads(line)
        except typed.UNFIT:
            if bytes(line).strip():
                _wholly(line, at + start, seen, known)
        else:
            _take(spans, at + start, seen, known)
        start = end
    kept = [n for n, trace in enumerate(seen.telling) if trace not in known]
    seen.telling = [seen.telling[n] for n in kept]
    seen.lines, seen.places = ([of[n] for n in kept] for of in (seen.lines, seen.places))
    return seen


def _take(spans: Sequence[SpanHead], at: int, seen: Seen, known: set[str]) -> None:
    """A line as its writers lay it out."""
    for span in spans:
        if span.name == names.RUN:
            try:
                seen.runs.append(from_head(span))
                known.add(span.trace_id)
            except _BAD:
                seen.damaged_spans += 1
    for place, span in enumerate(spans):
        if span.trace_id not in known and span.name in TELLING:
            seen.telling.append(span.trace_id)
            seen.lines.append(at)
            seen.places.append(place)


def _wholly(line: memoryview, at: int, seen: Seen, known: set[str]) -> None:
    """A line of another writer, or a damaged one."""
    try:
        spans, damaged = otlp.decode(otlp.parse(bytes(line)))
    except (ValueError, RecursionError):
        seen.damaged_lines += 1
        return
    seen.damaged_spans += damaged
    for place, span in enumerate(spans):
        if span.name == names.RUN:
            seen.runs.append(from_span(span))
            known.add(span.trace_id)
        elif span.name in TELLING:
            seen.telling.append(span.trace_id)
            seen.lines.append(at)
            seen.places.append(-1 - place)


def _is_json(line: bytes) -> bool:
    try:
        otlp.parse(line)
    except (ValueError, RecursionError):
        return False
    return True
