"""What a change tells of a run beside its times: attributes, how far it got, what it did how often.

What came after the run's end is kept apart, until that end is taken back.
"""

from __future__ import annotations

from collections.abc import Iterable

from gentrace.core import names
from gentrace.runtime.runs.change import Change
from gentrace.runtime.runs.record import UNCHANGED, Record


def facts(record: Record, change: Change) -> None:
    """Take in what is told of the run; what is told of a failure replaces what was of another."""
    told = change.facts
    exception = (names.ERROR_TYPE, names.ERROR_CAUSE)
    of_another = any(told.get(name) != record.facts.get(name) for name in exception)
    if names.ERROR_TYPE in told and of_another:
        forget(record, (name for name in names.ERROR_FACTS if name != names.ERROR_CODE))
    forget(record, (name for name, value in told.items() if value is None))
    record.facts |= {name: value for name, value in told.items() if value is not None}
    for name, value in change.asked.items():
        record.facts.setdefault(name, value)


def forget(record: Record, names_: Iterable[str]) -> None:
    """Take these attributes back."""
    for name in names_:
        record.facts.pop(name, None)


def _is_after(record: Record, change: Change) -> bool:
    """Whether it happened after the run's end, which may be taken back yet."""
    return 0 < record.ended_ns < change.at_ns and not change.status


def reached(record: Record, change: Change, stage: int) -> None:
    """How far the run got; what comes after its end counts only if that is taken back."""
    if _is_after(record, change):
        record.stage_beyond = max(record.stage_beyond, stage)
    else:
        record.stage = max(record.stage, stage)


def count(record: Record, change: Change, name: str, more: int) -> None:
    """Count what the run did; what comes after its end counts only if that is taken back."""
    after = _is_after(record, change) and name != UNCHANGED
    counts = record.beyond if after else record.counts
    counts[name] = counts.get(name, 0) + more


def count_beyond(record: Record) -> None:
    """The run's end was taken back, or came later after all."""
    for name, more in record.beyond.items():
        record.counts[name] = record.counts.get(name, 0) + more
    record.beyond.clear()
    record.stage, record.stage_beyond = max(record.stage, record.stage_beyond), 0
