"""What failing spans tell of one failure: where in the host it began, and in which words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gentrace.core import names
from gentrace.core.spans import Span

OF_ANY_SPAN = frozenset({names.ERROR_CODE, names.ERROR_TYPE})
"""What is looked for on the spans, too, where the run span says nothing of it."""
_MARK = re.compile(r"<\w+:\d+:[0-9a-f]{8}>")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the host's code.

    Attributes:
        file: from the host's package on.
        function: with its class, without its module; empty where only the line is known.
    """

    file: str
    line: int
    function: str


def is_mark(text: str) -> bool:
    """Whether it only stands for a message that may not be shown."""
    return _MARK.fullmatch(text) is not None


def place(span: Span) -> Place | None:
    """Where in the host's code a failing span's failure began; None where it does not say."""
    file, line = span.text(names.CODE_FILE), span.attributes.get(names.CODE_LINE)
    if file is None or not isinstance(line, int):
        return None
    # A function without a module is what the span is of, and not where it failed.
    _, colon, function = (span.text(names.CODE_FUNCTION) or "").partition(":")
    return Place(file, line, function if colon else "")


def stack(span: Span) -> list[str]:
    """The host's frames on a failing span, the last call last; empty where another has them."""
    events = [event for event in span.events if event.name == names.EVENT_EXCEPTION]
    told = events[-1].attributes.get(names.ERROR_STACK) if events else None
    if isinstance(told, str):
        return told.splitlines()
    return [str(line) for line in told] if isinstance(told, list | tuple) else []


def message(failing: Sequence[Span]) -> str | None:
    """What the spans of one failure say: the outermost one's words, else the innermost's mark.

    Args:
        failing: the outermost first.
    """
    told = [text for span in failing if (text := _text(span))]
    words = [text for text in told if not is_mark(text)]
    return words[0] if words else told[-1] if told else None


def _text(span: Span) -> str | None:
    events = [event.attributes.get("exception.message") for event in span.events]
    return span.status_message or next((str(text) for text in events if text), None)
