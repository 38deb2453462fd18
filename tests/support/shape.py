"""A trace as text that is the same in every run: a tree by start, with ids counted, no times.

SQL spans are folded: how many statements a flush makes is SQLAlchemy's affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

COUNTED = {
    "generation.hash": "hash",
    "generation.provider.job_id": "provider job",
    "messaging.message.id": "job",
}
"""Attributes whose values differ from run to run, and what stands for them."""

HIDDEN = (
    "messaging.operation.",
    "messaging.system",
    "http.",
    "url.",
    "server.",
    "net.",
    "network.",
)
"""Attributes that say the same on every such span, or belong to the libraries."""


NEVER = ("generation.id", "gentrace.processes", "generation.code.version")
"""The generation's id stands in front; the others are of the machine."""


class Shape:
    """Turns traces into text; one for all traces of a test, so that ids agree between them."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, Any], str] = {}

    def text(self, spans: Sequence[ReadableSpan]) -> str:
        """The tree of one trace, a line a span; a parent that is not there is said."""
        ids = {_id(span.context) for span in spans}
        lines: list[str] = []
        for span in self._sorted(spans):
            if span.parent is None or _id(span.parent) not in ids:
                lines += self._lines(span, spans, 0, "" if span.parent is None else "missing! ")
        return "\n".join(lines) + "\n"

    def _lines(
        self, span: ReadableSpan, spans: Sequence[ReadableSpan], depth: int, before: str
    ) -> Iterable[str]:
        indent = "  " * depth
        yield f"{indent}{before}{self._head(span)}"
        for event in span.events:
            yield f"{indent}  * {event.name}{self._attributes(event.attributes)}"
        for link in span.links:
            yield f"{indent}  ~ link{self._attributes(link.attributes)}"
        sql = False
        for child in self._sorted(spans):
            if child.parent is None or _id(child.parent) != _id(span.context):
                continue
            if _is_sql(child):
                if not sql:
                    yield f"{indent}  SQL …"
                sql = True
                continue
            yield from self._lines(child, spans, depth + 1, "")

    def _head(self, span: ReadableSpan) -> str:
        kind = "" if span.kind.name == "INTERNAL" else f"{span.kind.name} "
        status = "" if span.status.is_unset else f" {span.status.status_code.name}"
        told = f" {span.status.description!r}" if span.status.description else ""
        return f"{kind}{span.name}{status}{told}{self._attributes(span.attributes)}"

    def _attributes(self, attributes: Any) -> str:
        shown = [
            f"{name.removeprefix('generation.')}={self._value(name, value)}"
            for name, value in sorted((attributes or {}).items())
            if not name.startswith(HIDDEN) and name not in NEVER
        ]
        run = (attributes or {}).get("generation.id")
        return f" [{run}]" * bool(run) + (f" {{{', '.join(shown)}}}" if shown else "")

    def _value(self, name: str, value: Any) -> Any:
        if name.startswith("generation.time."):
            return "0" if not value else "…"
        if name == "code.line.number":
            return "…"
        if name == "generation.error.stack":
            return [re.sub(r":\d+ ", ":… ", line) for line in value]
        kind = COUNTED.get(name)
        if kind is None or re.fullmatch(r"[a-z]+:\d+", str(value)):
            return value
        count = sum(1 for seen, _ in self._seen if seen == kind) + 1
        return self._seen.setdefault((kind, value), f"<{kind} {count}>")

    @staticmethod
    def _sorted(spans: Sequence[ReadableSpan]) -> list[ReadableSpan]:
        return sorted(spans, key=lambda span: (span.start_time or 0, span.name))


def by_trace(spans: Sequence[ReadableSpan]) -> list[list[ReadableSpan]]:
    """The spans of each trace, the trace that starts first in front."""
    found: dict[int, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        assert span.context is not None
        found.setdefault(span.context.trace_id, []).append(span)
    return list(found.values())


def _id(context: Any) -> int:
    return context.span_id


def _is_sql(span: ReadableSpan) -> bool:
    return any(name in (span.attributes or {}) for name in ("db.system", "db.system.name"))
