"""Finds run spans in OTLP JSON without decoding the rest: a search through the bytes.

A file has twenty-five spans to a run, and only one is asked for. Where a line is written as the
exporters write it (no spaces, ids before the name), the bytes that open a span and tell its name
stand together, and JSON lets them stand nowhere else: inside a text its quotes are escaped. Any
other line is decoded as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, BinaryIO, cast

from gentrace.core import names, otlp
from gentrace.core.spans import Span
from gentrace.sources.index import quick
from gentrace.sources.index.quick import Fields

TELLING = (
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
)
"""Spans that tell of a run which has no run span (yet): where it is, and how it ended."""

_BLOCK = 8 * 1024 * 1024
_BRACE = ord("}")
_USUAL = b'{"resourceSpans":[{"'
_NAMES = b"|".join(re.escape(name.encode()) for name in (names.RUN, *TELLING))
_OPENING = re.compile(
    rb'\{"traceId":"([0-9a-f]{32})","spanId":"[0-9a-f]{16}",(?:"traceState":"[^"\\]*",)?'
    rb'(?:"parentSpanId":"[0-9a-f]*",)?(?:"flags":\d+,)?"name":"(' + _NAMES + rb')"'
)
_COUNTED = tuple(f'"name":"{name}"'.encode() for name in (names.RUN, names.CREATE_GENERATION))
_SPAN_BYTES = 8 * 1024
_decode = json.JSONDecoder().raw_decode

Raw = Mapping[str, Any]


@dataclass(slots=True)
class Seen:
    """What a block of a file holds.

    Attributes:
        runs: the run spans.
        telling: trace ids and offsets in the file of spans that tell of a run.
        decoded: such spans, of lines that had to be decoded as a whole.
        read_to: up to where the file is read; a last line that is not whole comes later.
        damaged: lines and spans that could not be understood.
    """

    runs: list[Fields] = field(default_factory=list[Fields])
    telling: list[tuple[bytes, int]] = field(default_factory=list[tuple[bytes, int]])
    decoded: list[Span] = field(default_factory=list[Span])
    read_to: int = 0
    damaged: int = 0


def scan(handle: BinaryIO, start: int) -> Iterator[Seen]:
    """Reads a file from ``start``, a block of whole lines at a time."""
    handle.seek(start)
    rest, at = b"", start
    while block := handle.read(_BLOCK):
        lines = rest + block
        end = lines.rfind(b"\n") + 1
        rest = lines[end:]
        if end:
            yield _block(lines[:end], at)
            at += end
    if rest.strip() and _is_json(rest):
        seen = _block(rest + b"\n", at)
        seen.read_to = at + len(rest)
        yield seen


def span_at(handle: BinaryIO, at: int) -> Span | None:
    """The span that begins there; None where it cannot be understood."""
    handle.seek(at)
    raw = _object(handle.read(_SPAN_BYTES), 0)
    if raw is None:
        handle.seek(at)
        raw = _object(handle.readline(), 0)
    try:
        return otlp.span(raw, {}) if raw is not None else None
    except (ValueError, TypeError, RecursionError):
        return None


def _block(lines: bytes, at: int) -> Seen:
    """The finds of whole lines that begin at ``at`` in the file."""
    seen = Seen(read_to=at + len(lines))
    bounds: list[int] = [0]
    usual = True
    while (start := bounds[-1]) < len(lines):
        end = lines.index(b"\n", start)
        usual = usual and lines.startswith(_USUAL, start) and lines[end - 1] == _BRACE
        bounds.append(end + 1)
    if usual and _quickly(lines, at, seen):
        return seen
    for start, end in pairwise(bounds):
        line = lines[start:end]
        likely = line.startswith(_USUAL) and line.endswith(b"}\n")
        if line.strip() and not (likely and _quickly(line, at + start, seen)):
            _wholly(line, seen)
    return seen


def _quickly(lines: bytes, at: int, seen: Seen) -> bool:
    """Takes what the bytes tell; False, and nothing taken, where they are laid out otherwise."""
    own, create = (name.encode() for name in (names.RUN, names.CREATE_GENERATION))
    starts: list[int] = []
    telling: list[tuple[bytes, int]] = []
    created = 0
    for match in _OPENING.finditer(lines):
        name = match[2]
        if name == own:
            starts.append(match.start())
        else:
            created += name == create
            telling.append((match[1], at + match.start()))
    if [len(starts), created] != [lines.count(text) for text in _COUNTED]:
        return False
    seen.telling += telling
    for start in starts:
        fields = quick.from_bytes(lines, start)
        if fields is None:
            raw = _object(lines, start)
            fields = quick.from_object(raw) if raw is not None else None
        if fields is None:
            seen.damaged += 1
        else:
            seen.runs.append(fields)
    return True


def _object(text: bytes, at: int) -> Raw | None:
    """The JSON object that begins there, which is seldom longer than a few KiB."""
    for length in (_SPAN_BYTES, 32 * _SPAN_BYTES, len(text)):
        try:
            found, _ = _decode(text[at : at + length].decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            if at + length >= len(text):
                return None
            continue
        return cast(Raw, found) if isinstance(found, dict) else None
    return None


def _wholly(line: bytes, seen: Seen) -> None:
    """A line of another writer, or a damaged one."""
    try:
        spans, damaged = otlp.decode(otlp.parse(line))
    except (ValueError, RecursionError):
        seen.damaged += 1
        return
    seen.damaged += damaged
    seen.runs += [quick.from_span(span) for span in spans if span.name == names.RUN]
    seen.decoded += [span for span in spans if span.name in TELLING]


def _is_json(line: bytes) -> bool:
    try:
        otlp.parse(line)
    except (ValueError, RecursionError):
        return False
    return True
