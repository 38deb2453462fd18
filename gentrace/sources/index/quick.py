"""One run span out of the bytes of its JSON, by expressions: three times as quick as decoding it.

It takes the span as the exporters write it. Whatever it is not sure of it leaves to the JSON
decoder, which gives the same fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from gentrace.core import names, otlp
from gentrace.core.spans import Span, plain

_HEAD = re.compile(
    rb'\{"traceId":"([0-9a-f]{32})","spanId":"([0-9a-f]{16})",[^{}\[\]]*'
    rb'"startTimeUnixNano":"(\d+)","endTimeUnixNano":"(\d+)","attributes":\['
)
_PAIR = re.compile(
    rb'\{"key":"([^"\\]+)","value":\{"(?:'
    rb'(?:string|int|double)Value":"([^"\\]*)"|(?:double|int|bool)Value":([-+.\w]+)|'
    rb'arrayValue":\{"values":\[((?:\{"stringValue":"[^"\\,]*"\},?)*)\]\})\}\}'
)
_ITEM = re.compile(rb'"stringValue":"([^"\\]*)"')
_LONGEST = 32 * 1024


Pair = tuple[bytes, bytes, bytes, bytes]
"""An attribute: its name, and a value in quotes, or one without, or a list as it stands."""


class Fields(NamedTuple):
    """A run span; its attributes as they stand in the bytes, for :func:`value` to read."""

    trace: int
    span: int
    start_ns: int
    end_ns: int
    pairs: list[Pair]


def from_bytes(text: bytes, at: int) -> Fields | None:
    """The run span that begins there; None where only the decoder can tell."""
    head = _HEAD.match(text, at)
    if head is None:
        return None
    # The list of attributes ends here, or in a text that looks so; then not every pair is whole.
    end = text.find(b"}}]", head.end(), head.end() + _LONGEST)
    if end < 0:
        return None
    found = _PAIR.findall(text, head.end(), end + 2)
    keys = text.count(b'{"key":"', head.end(), end + 2)
    if len(found) != keys:
        return None
    trace, span, start, last = head.groups()
    return Fields(int(trace, 16), int(span, 16), int(start), int(last), found)


def value(pair: Pair) -> bytes:
    """An attribute's value as text."""
    return pair[1] or pair[2] or b",".join(_ITEM.findall(pair[3]))


def from_object(raw: Mapping[str, Any]) -> Fields | None:
    """The same of a JSON object; None where it is no span."""
    try:
        return from_span(otlp.span(raw, {}))
    except (ValueError, TypeError, RecursionError):
        return None


def from_span(span: Span) -> Fields:
    """The same of a decoded span."""
    pairs = [
        (name.encode(), plain(told).encode(), b"", b"")
        for name, told in span.attributes.items()
        if told is not None
    ]
    ids = int(span.trace_id, 16), int(span.span_id, 16)
    return Fields(*ids, span.start_ns, span.end_ns, pairs)


OWN = frozenset(
    name.encode() for name in (names.GENERATION_HASH, names.PROVIDER_JOB_ID, names.SUBMISSION_ID)
)
"""What no two runs have in common."""
