"""What the index keeps of a run span, from either way of decoding it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Raw
from msgspec.json import encode

from gentrace.core import names, otlp
from gentrace.core.run.times import LONGEST_S
from gentrace.core.spans import Span, plain
from gentrace.sources.index import typed
from gentrace.sources.index.typed import Buffer, Pair, SpanHead


class Fields(NamedTuple):
    """A run span.

    Attributes:
        pairs: its attributes; :func:`text` reads their values.
    """

    trace: int
    span: int
    start_ns: int
    end_ns: int
    pairs: Sequence[Pair]


def from_head(span: SpanHead) -> Fields:
    """Those of a span that is decoded so far.

    Raises:
        ValueError or TypeError: it cannot be understood.
    """
    return Fields(
        int(otlp.identifier(span.trace_id, 16), 16),
        int(otlp.identifier(span.span_id, 8), 16),
        otlp.time_ns(span.start_time_unix_nano or 0),
        otlp.time_ns(span.end_time_unix_nano or 0),
        _given(span.attributes or Raw(b"[]")),
    )


def from_span(span: Span) -> Fields:
    """The same of a decoded span."""
    ids = int(span.trace_id, 16), int(span.span_id, 16)
    return Fields(*ids, span.start_ns, span.end_ns, _pairs(span.attributes))


def text(value: Buffer) -> str:
    """An attribute's value as text; empty where it has none, or none that can be understood."""
    try:
        told = typed.value(value)
    except (ValueError, TypeError, RecursionError):
        return ""
    return "" if told is None else otlp.text(plain(told))


_NAMED = b'"generation.id"'
_GENERATION = re.compile(
    rb'"generation\.id"\s*,\s*"value"\s*:\s*\{\s*"stringValue"\s*:\s*"([^"\\]*)"'
)
"""As writers spell it."""


def spelling(attributes: bytes) -> bytes:
    """How a span's generation is spelt in its attributes; empty where it is spelt otherwise."""
    found = _GENERATION.search(attributes)
    return found[0] if found else b""


def names_one(attributes: bytes) -> bool:
    """Whether a span has a generation's id."""
    return _NAMED in attributes


def generation(attributes: bytes) -> str:
    """The id of a span's generation, of attributes as they stand in the line; empty without."""
    at = attributes.find(_NAMED)
    if at < 0:
        return ""
    if found := _GENERATION.match(attributes, at):
        return found[1].decode("utf-8", "replace")
    try:
        given = _given(Raw(attributes))
    except (ValueError, TypeError, RecursionError):
        return ""
    return generation_of(given)


def generation_of(pairs: Sequence[Pair]) -> str:
    """The same of decoded attributes."""
    return next((text(pair.value) for pair in pairs if pair.key == names.GENERATION_ID), "")


def number(value: Buffer) -> float:
    """An attribute's value as a number; 0 where it is none, or no duration that can be.

    One odd attribute costs no run.
    """
    try:
        found = float(typed.value(value))
    except (ValueError, TypeError, RecursionError):
        return 0.0
    return found if 0 <= found <= LONGEST_S else 0.0


def _given(attributes: Raw) -> list[Pair]:
    """Attributes as they stand in a line, whatever its layout."""
    try:
        return typed.pairs(attributes)
    except typed.UNFIT:
        return _pairs(otlp.attributes({"attributes": otlp.parse(bytes(attributes))}))


def _pairs(attributes: Mapping[str, Any]) -> list[Pair]:
    """Decoded attributes once more as they stand in a line."""
    return [
        Pair(otlp.text(name), Raw(encode({"stringValue": otlp.text(plain(told))})))
        for name, told in attributes.items()
        if told is not None
    ]
