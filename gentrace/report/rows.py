"""One line of a page's waterfall, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field

from gentrace.analysis.tree import Node
from gentrace.core import names
from gentrace.report import summary

_LONGEST_WORDS, _LONGEST_NAME = 160, 120

Bar = tuple[float, float]


@dataclass(slots=True)
class Row:
    """A line of the waterfall; positions in percent of the axis.

    Attributes:
        bar: left and width; None for what lies after the axis.
        waited: the parts of the bar that the run waited for.
        on: it, or something below it, was waited for.
        parent: it can be folded up.
        opened: ... and is not, at first.
    """

    name: str
    depth: int
    took: str
    start: str
    details: str = ""
    state: str | None = None
    bar: Bar | None = None
    waited: list[Bar] = field(default_factory=list[Bar])
    on: bool = False
    failed: bool = False
    marked: bool = False
    gap: bool = False
    parent: bool = False
    opened: bool = True
    anchor: str = ""


def details(node: Node) -> str:
    """What a span has to say beside its name; of a failing one its error."""
    span = node.span
    told = [word for word in summary.words(span) if word]
    if span.failed and span.kind not in ("CLIENT", "SERVER") and span.name != names.RUN:
        told += summary.error_lines(span, frames=0)
    if node.mark:
        told.append(node.mark)
    text = ", ".join(told)
    return cut(text, _LONGEST_WORDS)


def more(count: int, depth: int, which: str = "shorter than these") -> Row:
    """A line in the place of those that were left out."""
    return Row(name=f"{count} more, {which}", depth=depth, took="", start="", on=True)


def cut(text: str, most: int = _LONGEST_NAME) -> str:
    """The beginning of a text that is too long for a page."""
    return text if len(text) <= most else text[:most] + "…"
