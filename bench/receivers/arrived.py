"""A span as it is counted, whatever protocol it came by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Arrived(NamedTuple):
    """One span: its start in ns since 1970, its trace's id in hex, the process that made it."""

    start_ns: int
    trace: str
    process: str
    name: str


class NotUnderstood(ValueError):
    """What came is not of the protocol that its path belongs to."""


@dataclass(frozen=True)
class Count:
    """Spans and traces that began in some stretch of time."""

    spans: int = 0
    traces: int = 0
    joined: int = 0
    """Traces with spans of both the API and the worker."""


def read(path: Path) -> Iterator[Arrived]:
    """What the server has written so far; a line that is still being written is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    for line in lines:
        yield Arrived(*json.loads(line))


def count(spans: Iterable[Arrived], stretches: Sequence[tuple[int, int]]) -> Count:
    """What began in those stretches (ns since 1970).

    A process is the API's or the worker's by the end of its name, and neither if it has another.
    """
    number, sides = 0, dict[str, set[str]]()
    for span in spans:
        if any(begin <= span.start_ns < end for begin, end in stretches):
            number += 1
            side = next((each for each in ("api", "worker") if span.process.endswith(each)), "")
            sides.setdefault(span.trace, set()).add(side)
    joined = sum({"api", "worker"} <= each for each in sides.values())
    return Count(number, len(sides), joined)


def of_spool(segment: Path) -> Iterator[Arrived]:
    """The spans of one file of gentrace's spool; a process's record has none."""
    for line in segment.read_text(encoding="utf-8").splitlines():
        for of_resource in json.loads(line).get("resourceSpans", []):
            named = {each["key"]: each["value"] for each in of_resource["resource"]["attributes"]}
            process = str(named["service.name"].get("stringValue"))
            for of_scope in of_resource["scopeSpans"]:
                for span in of_scope["spans"]:
                    start = int(span["startTimeUnixNano"])
                    yield Arrived(start, span["traceId"], process, span["name"])
