"""Finds run spans in OTLP JSON, and where the spans stand that tell of other runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import RawIOBase
from typing import BinaryIO

from gentrace.core import names, otlp
from gentrace.core.spans import Span
from gentrace.sources import typed
from gentrace.sources.index.fields import (
    Fields,
    from_head,
    from_span,
    generation,
    generation_of,
    names_one,
    spelling,
)
from gentrace.sources.typed import SpanHead

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
"""Spans that tell of a run which has no run span (yet): where it is, and how it ended.

Where a trace has none of them and no run span, any other that names a generation tells of its run.
"""

BLOCK = 4 * 1024 * 1024
_BLANK, _SPACE = re.compile(rb"\s+"), ord(" ")
_NEVER = b"\0"  # is in no JSON
_BAD = (ValueError, TypeError, RecursionError)


@dataclass(slots=True)
class Seen:
    """What a block of a file holds.

    Attributes:
        runs: the run spans.
        telling: trace ids of spans that tell of runs without a run span in the block, and
            ``generations`` the ids of their generations, where they have any.
        lines: where in the file the line of each of these begins.
        places: which span of its line each is; below 0 where the line had to be decoded as a whole.
        read_to: up to where the file is read; a last line that is not whole comes later.
        certain: traces with a span in the block that tells of a run whatever else there is.
        damaged_lines: lines that could not be understood, and ``damaged_spans`` spans of others.
    """

    runs: list[Fields] = field(default_factory=list[Fields])
    telling: list[str] = field(default_factory=list[str])
    generations: list[str] = field(default_factory=list[str])
    lines: list[int] = field(default_factory=list[int])
    places: list[int] = field(default_factory=list[int])
    certain: set[str] = field(default_factory=set[str])
    read_to: int = 0
    damaged_lines: int = 0
    damaged_spans: int = 0


@dataclass(slots=True)
class _Own:
    """The generations that have their run span in a trace; how the first is spelt there."""

    spelt: bytes
    generations: set[str]


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
    known: dict[str, _Own] = {}
    start = 0
    while start < size:
        if lines[start] <= _SPACE and (blank := _BLANK.match(lines, start, size)):
            start = blank.end()
            continue
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
    told = zip(seen.telling, seen.generations, strict=True)
    kept = [n for n, (trace, of) in enumerate(told) if not _has_run(known.get(trace), of)]
    seen.telling, seen.generations = (
        [w[n] for n in kept] for w in (seen.telling, seen.generations)
    )
    seen.lines, seen.places = ([of[n] for n in kept] for of in (seen.lines, seen.places))
    return seen


def _has_run(own: _Own | None, generation: str) -> bool:
    """Whether the run span is there of what a span of that trace tells of."""
    return own is not None and (not generation or generation in own.generations)


def _take(spans: Sequence[SpanHead], at: int, seen: Seen, known: dict[str, _Own]) -> None:
    """A line as its writers lay it out."""
    for span in spans:
        if span.name == names.RUN:
            try:
                run = from_head(span)
            except _BAD:
                seen.damaged_spans += 1
            else:
                _run(run, span.trace_id, spelling(bytes(span.attributes or b"")), seen, known)
    where = 0  # in its attributes a span tells its generation, most of them in the same place
    for place, span in enumerate(spans):
        if span.name in TELLING:
            given = bytes(span.attributes) if span.attributes else b""
            own = known.get(span.trace_id)
            if own is not None:
                if given.startswith(own.spelt, where):
                    continue
                if (found := given.find(own.spelt)) >= 0:
                    where = found
                    continue
            if not _has_run(own, of := generation(given)):
                _tell(span.trace_id, of, at, place, seen)
                seen.certain.add(span.trace_id)
        elif (
            span.trace_id not in known
            and span.trace_id not in seen.certain
            and names_one(bytes(span.attributes or b""))
        ):
            _tell(span.trace_id, "", at, place, seen)


def _run(run: Fields, trace: str, spelt: bytes, seen: Seen, known: dict[str, _Own]) -> None:
    seen.runs.append(run)
    known.setdefault(trace, _Own(spelt or _NEVER, set())).generations.add(generation_of(run.pairs))


def _tell(trace: str, of: str, at: int, place: int, seen: Seen) -> None:
    seen.telling.append(trace)
    seen.generations.append(of)
    seen.lines.append(at)
    seen.places.append(place)


def _wholly(line: memoryview, at: int, seen: Seen, known: dict[str, _Own]) -> None:
    """A line of another writer, or a damaged one."""
    try:
        spans, damaged = otlp.decode(otlp.parse(bytes(line)))
    except (ValueError, RecursionError):
        seen.damaged_lines += 1
        return
    seen.damaged_spans += damaged
    for place, span in enumerate(spans):
        if span.name == names.RUN:
            _run(from_span(span), span.trace_id, b"", seen, known)
        elif (of := told_of(span)) is not None:
            _tell(span.trace_id, of, at, -1 - place, seen)


def told_of(span: Span) -> str | None:
    """The generation that a span tells of which is no run span; None where it tells of none.

    Empty of one that tells of something only where its trace has no run span.
    """
    of = span.text(names.GENERATION_ID)
    if span.name in TELLING:
        return of or ""
    return None if of is None else ""


def _is_json(line: bytes) -> bool:
    try:
        otlp.parse(line)
    except (ValueError, RecursionError):
        return False
    return True
