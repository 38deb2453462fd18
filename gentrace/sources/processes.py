"""The records that traced processes leave in the spool: who they are and what was hooked.

A source that holds no such records (a Jaeger, a Collector's file) still holds each process's
start-up span; :mod:`gentrace.sources.startups` reads those.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from gentrace.core.errors import SourceError
from gentrace.sources.files import look, opened, passed_over
from gentrace.sources.otlp_files import PROCESSES

SILENT_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """The last record of one process.

    Attributes:
        alive: it has not said that it ended, and its pid still runs (where that can be asked).
            None where only its start is known.
        record: what it wrote, as it wrote it.
    """

    alive: bool | None
    record: Mapping[str, Any]

    @property
    def may_run(self) -> bool:
        """It runs, or nothing tells that it has ended."""
        return self.alive is not False

    def texts(self, name: str) -> list[str]:
        """A field that is a list, each entry as text; empty where it is absent or no list."""
        value: Any = self.record.get(name)
        return [str(each) for each in cast("list[Any]", value)] if isinstance(value, list) else []

    def text(self, name: str) -> str:
        """A field as text, empty where it is absent."""
        value = self.record.get(name)
        return "" if value is None else str(value)

    def part(self, name: str) -> Mapping[str, Any]:
        """A field that has fields of its own, empty where it is absent."""
        value: Any = self.record.get(name)
        return cast(Mapping[str, Any], value) if isinstance(value, dict) else {}

    @property
    def targets(self) -> Sequence[Mapping[str, Any]]:
        """What became of each target of the profile in that process."""
        listed: Any = self.record.get("targets")
        if not isinstance(listed, list):
            return ()
        return [cast(Mapping[str, Any], t) for t in listed if isinstance(t, dict)]


def read(folder: Path, notes: list[str] | None = None) -> list[ProcessRecord]:
    """The processes that wrote to a spool, the last seen first; none where there is no spool.

    Args:
        notes: takes what was passed over, in sentences.

    Raises:
        SourceError: the folder is there and cannot be read.
    """
    last: dict[str, Mapping[str, Any]] = {}
    try:
        paths = sorted(folder.glob(f"{PROCESSES}*.jsonl")) if folder.is_dir() else []
    except OSError as exc:
        raise SourceError(f"{folder} cannot be read: {exc.strerror}") from None
    for line in (line for path in paths for line in _lines(path, notes)):
        record = _record(line)
        if record is not None:
            instance = str(record.get("instance", ""))
            last[instance] = {**last.get(instance, {}), **record}  # signs of life are short
    found = [ProcessRecord(_alive(record), record) for record in last.values()]
    return sorted(found, key=lambda process: process.text("last_seen"), reverse=True)


def _lines(path: Path, notes: list[str] | None) -> list[bytes]:
    """The lines of a file; none of what is no file, went away or may not be read."""
    there = look(path)
    if isinstance(there, str):
        _note(notes, passed_over(path, there))
        return []
    try:
        with opened(path) as handle:
            return handle.read().splitlines()
    except FileNotFoundError:
        return []
    except OSError as exc:
        _note(notes, f"{path} cannot be read ({exc.strerror}), left out")
        return []


def _note(notes: list[str] | None, text: str) -> None:
    if notes is not None:
        notes.append(text)


def _record(line: bytes) -> Mapping[str, Any] | None:
    """The record of a line; None where it is damaged or not finished."""
    try:
        whole: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    inner: Any = whole.get("gentraceProcess") if isinstance(whole, dict) else None
    return cast(Mapping[str, Any], inner) if isinstance(inner, dict) else None


def _alive(record: Mapping[str, Any]) -> bool:
    if record.get("alive") is False or record.get("ended"):
        return False
    pid = record.get("pid")
    here = record.get("machine") in (None, platform.node())
    if here and os.name == "posix" and isinstance(pid, int):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True  # it runs as another user
        except OverflowError:
            return False  # no process has such a number
        return True
    try:
        seen_s = datetime.fromisoformat(str(record.get("last_seen", ""))).timestamp()
    except (ValueError, OverflowError, OSError):  # the latter of years that no clock has
        return False
    return time.time() - seen_s < SILENT_AFTER_S
