"""What Jaeger changed in a span, changed back.

Jaeger 1 stores spans in a model of its own, other releases for some storages: arrays become JSON
text, and links lose their attributes; why they are there stands in ``gentrace.links``, too.
Jaeger 2 makes a span without duration one of a nanosecond, and says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gentrace.core import names
from gentrace.core.spans import Link, Span

WARNINGS = "@jaeger@warnings"
_ADDED = frozenset({WARNINGS, "internal.span.format", "w3c.tracestate"})
_ADDED_TO_LINKS = "opentracing.ref_type"
_CUT = re.compile(r"more than \d+ spans")
_END = re.compile(r"Original end timestamp: (\S+ \d\d:\d\d:\d\d)(?:\.(\d{1,9}))? \+0000 UTC")


def warnings(given: Span, told: Any = None) -> Sequence[str]:
    """What Jaeger says of the span: in an attribute (text, where arrays are), or beside it."""
    found: list[str] = []
    for each in (given.attributes.get(WARNINGS), told):
        found += [str(one) for one in each] if isinstance(each, list) else [str(each or "")]
    return [each for each in found if each]


def cut(told: Sequence[str]) -> str:
    """What it says of spans that it held back; empty where it held none back."""
    return next((each for each in told if _CUT.search(each)), "")


def span(given: Span, told: Sequence[str]) -> Span:
    """The span as it was sent, as far as that can be known."""
    attributes = _attributes(given.attributes)
    links = _links(given.links, attributes.get(names.LINKS))
    ends = (match for each in told if (match := _END.search(each)))
    end_ns = next((_unix_ns(match[1], match[2]) for match in ends), given.end_ns)
    events = tuple(
        replace(event, attributes=_attributes(event.attributes)) for event in given.events
    )
    return replace(given, attributes=attributes, events=events, links=links, end_ns=end_ns)


def _attributes(given: Mapping[str, Any]) -> Mapping[str, Any]:
    found = {name: value for name, value in given.items() if name not in _ADDED}
    for name, value in found.items():
        declared = names.ATTRIBUTES.get(name)
        if declared is not None and declared.type.endswith("[]") and isinstance(value, str):
            found[name] = _array(value)
    return found


def _array(value: str) -> Any:
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, list) else value


def _links(given: Sequence[Link], kinds: Any) -> tuple[Link, ...]:
    found = [
        replace(link, attributes={k: v for k, v in link.attributes.items() if k != _ADDED_TO_LINKS})
        for link in given
    ]
    if isinstance(kinds, list) and len(kinds) == len(found):
        for at, (link, kind) in enumerate(zip(found, kinds, strict=True)):
            if kind and not link.attributes:
                found[at] = replace(link, attributes={names.LINK: str(kind)})
    return tuple(found)


def _unix_ns(moment: str, fraction: str | None) -> int:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return max(0, int(at.timestamp()) * 10**9 + int((fraction or "").ljust(9, "0")))
