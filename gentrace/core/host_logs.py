"""What a profile says of the host's logs: which of its events belong on a span, and what of them.

How they are seen is the runtime's business (gentrace/runtime/hooks/logs.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Logs:
    """Where the host's log records hold what is looked for.

    Attributes:
        id: fields that hold a generation's id, first found.
        event: fields that may hold an event's name, beside the message itself, first found.
        within: fields that are tables of fields.
        messages: fields that hold an exception's message; shown as ``errors.messages`` allows.
    """

    id: tuple[str, ...] = ("generation_id",)
    event: tuple[str, ...] = ("event",)
    within: tuple[str, ...] = ("extra", "fields")
    messages: tuple[str, ...] = ("error", "error_message")


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Events of the host that become span events.

    Attributes:
        names: how they are called in the log, and on the span.
        text: what they are called in the log where that is a sentence, with ``{field}`` for a
            word in it; on the span they have the (one) name.
        fields: what goes with them.
        pause: the one of the fields that holds for how many seconds the host then does nothing.
    """

    names: tuple[str, ...]
    text: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    pause: str = ""

    def faults(self) -> Iterator[str]:
        """What is wrong with it, in words."""
        if not self.names:
            yield "names: a name is needed"
        if self.text and len(self.names) > 1:
            yield "text: goes with one name"
        if self.pause and self.pause not in self.fields:
            yield f"pause: {self.pause!r} is none of its fields"
        for text in self.text:
            if not beginning(text).strip():
                yield f"text: {text!r} must begin with words of its own"


def beginning(text: str) -> str:
    """What a text begins with, whatever its fields are."""
    return text.partition("{")[0]


def pattern(text: str) -> re.Pattern[str]:
    """Finds a text and its fields, each a run of characters without a space."""
    literal = [re.escape(part) for part in _PLACE.split(text)[::2]]
    places = [f"(?P<{name}>\\S+)" for name in _PLACE.findall(text)]
    return re.compile("".join(a + b for a, b in zip(literal, [*places, ""], strict=True)))


def fields_by_name(events: Iterable[LogEvent]) -> Mapping[str, frozenset[str]]:
    """Each event's name on a span, and the fields that may stand there."""
    found: dict[str, frozenset[str]] = {}
    for event in events:
        for name in event.names:
            found[name] = found.get(name, frozenset()) | frozenset(event.fields)
    return found


@dataclass(frozen=True, slots=True)
class Sdk:
    """A provider's package: the module that the host imports, the distribution that has it."""

    module: str
    distribution: str = ""
