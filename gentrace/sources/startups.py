"""The processes that a source tells of: by their records in a spool, else by their start-up spans.

A start-up span says what a process was when it came up. Whether it still runs is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gentrace.core import names
from gentrace.core.spans import Span
from gentrace.sources import processes
from gentrace.sources.base import Source
from gentrace.sources.otlp_files import OtlpFiles
from gentrace.sources.processes import ProcessRecord

ROLES = ("api", "worker")
STARTS_ONLY = (
    "whether the processes still run, their libraries and what they lost: {where} has their "
    "start-up spans only"
)
_STATES: Mapping[str, str] = {
    names.TARGETS_PATCHED: "patched",
    names.TARGETS_LATE: "late",
    names.TARGETS_MISSING: "missing",
}
_TEXTS: Mapping[str, str] = {
    "role": names.ROLE,
    "python": names.EXECUTABLE,
    "prefix": names.PREFIX,
    "package_file": names.PACKAGE_FILE,
    "cwd": names.WORKING_DIRECTORY,
    "revision": names.CODE_VERSION,
    "queue": names.MESSAGING_DESTINATION,
    "sampler": names.SAMPLER,
}
_LISTS: Mapping[str, str] = {
    "stale": names.CODE_STALE,
    "import_errors": names.IMPORT_ERRORS,
}


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a source, the last seen first.

    Attributes:
        not_looked_at: what such a source cannot tell, in words.
        notes: what was passed over, in sentences.
    """

    found: Sequence[ProcessRecord]
    not_looked_at: Sequence[str] = ()
    notes: Sequence[str] = ()


def of_source(source: Source) -> Processes:
    """Every process that the source tells of; of a place that was started again, the last start.

    Raises:
        SourceError: the source cannot be read.
    """
    notes: list[str] = []
    if isinstance(source, OtlpFiles):
        found = processes.read(source.path, notes)
        if found or source.is_empty():
            return Processes(found, (), notes)
    last: dict[tuple[Any, ...], ProcessRecord] = {}
    for process in _started(source):
        place = ("service", "role", "queue", "machine", "cwd")
        last[tuple(process.record.get(name) for name in place)] = process
    found = sorted(last.values(), key=lambda each: each.text("started_at"), reverse=True)
    return Processes(found, (STARTS_ONLY.format(where=source.description),), notes)


def of_instances(source: Source, instances: Iterable[str]) -> list[ProcessRecord]:
    """What the source tells of these processes, the last seen first.

    Raises:
        SourceError: the source cannot be read.
    """
    wanted = frozenset(instances)
    if isinstance(source, OtlpFiles):
        found = [p for p in processes.read(source.path) if p.text("instance") in wanted]
        if found:
            return found
    started = [p for p in _started(source) if p.text("instance") in wanted]
    return list(reversed(started))


def _started(source: Source) -> list[ProcessRecord]:
    """A record for each start-up span, the oldest first."""
    traces = [trace for role in ROLES for trace in source.by_attribute(names.ROLE, role).traces]
    spans = [span for trace in traces for span in trace.spans if span.name == names.STARTUP]
    return [_record(span) for span in sorted(spans, key=lambda span: span.start_ns)]


def _record(span: Span) -> ProcessRecord:
    """What the span says, by the names that the process's own record has."""
    started = datetime.fromtimestamp(span.start_ns / 1e9, UTC).isoformat().replace("+00:00", "Z")
    targets = [
        {"name": target, "role": "", "state": state, "file": None}
        for name, state in _STATES.items()
        for target in _listed(span, name)
    ]
    return ProcessRecord(
        None,
        {
            "instance": span.instance,
            "service": span.service,
            "pid": span.resource.get("process.pid"),
            "machine": span.resource.get("host.name"),
            "started_at": started,
            "last_seen": started,
            "targets": targets,
            **{field: span.text(name) for field, name in _TEXTS.items()},
            **{field: _listed(span, name) for field, name in _LISTS.items()},
        },
    )


def _listed(span: Span, name: str) -> list[str]:
    value: Any = span.attributes.get(name)
    return [str(each) for each in value] if isinstance(value, list | tuple) else []  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
