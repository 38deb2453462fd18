"""What an attribute may be to a comparison: a cause, a symptom, or nothing.

A cause is what the request asked for, what the host decided, or where the run met it. A symptom
says what became of a run, or which one it was: how often it was tried, why it waited, which
processes it crossed. It follows from causes, so that it is told beside them and never as one.
Attributes of a host's own are judged by their values and by the last word of their name.
"""

from __future__ import annotations

import re
from enum import Enum, auto

import numpy as np

from gentrace.analysis.compare.table import Column, Table, Tags
from gentrace.core import names


class Role(Enum):
    """What an attribute is asked for."""

    CAUSE = auto()
    SYMPTOM = auto()
    NOTHING = auto()


PREFERRED = (
    names.MODEL, names.PROVIDER, names.OPERATION, names.ACCOUNT_ID, names.CODE_VERSION,
    names.USER_ID,
)  # fmt: skip
"""Known causes. Of those that the same runs carry, the first is named."""
_CAUSES = frozenset({*PREFERRED, names.DEDUP_RESULT, names.CACHE_RESULT})
_SYMPTOMS = frozenset(
    {names.WAIT_REASON, names.REQUEUES, names.ATTEMPTS, names.TRIES, names.PROCESSES}
)
_NOTHING = frozenset(
    {
        names.OUTCOME, *names.ERROR_FACTS, names.STAGE, names.POLLS,
        names.LATE_EVENTS, names.INCOMPLETE, names.SCRUBBED, names.LINKS, names.SQL_COUNT,
        names.SQL_TIME, names.LOG_EVENTS_LEFT_OUT, names.GENERATION_ID, names.GENERATION_RUN,
        names.GENERATION_HASH, names.PROVIDER_JOB_ID, names.SUBMISSION_ID, names.RETURNED_ID,
        names.RETURNED_STATUS, *names.TIMES.values(),
    }
)  # fmt: skip
"""They define the question, stand for how long a run took, or are one run's own."""
_COUNT = re.compile(
    r"(^|[._])(counts?|tries|attempts?|retries|requeues|polls|statuscode|status_code)$"
)
_TIME = re.compile(r"(^|[._])(s|ms|us|ns|seconds|duration|elapsed|latency|timestamp|at)$")
_UNIQUE = 0.5
"""Of the runs that carry it: an attribute with more values than that tells runs apart."""


def role(name: str, column: Column | Tags) -> Role:
    """What to ask of that attribute."""
    if name in _CAUSES:
        return Role.CAUSE
    if name in _SYMPTOMS:
        return Role.SYMPTOM
    if name in _NOTHING or _TIME.search(name) or _identifies(column):
        return Role.NOTHING
    return Role.SYMPTOM if _COUNT.search(name) else Role.CAUSE


def _identifies(column: Column | Tags) -> bool:
    if isinstance(column, Tags):
        return False
    there = column.codes[column.codes >= 0]
    values = int((np.bincount(there) > 0).sum()) if len(there) else 0
    return values > _UNIQUE * len(there)


def having(runs: Table, wanted: Role) -> list[str]:
    """The attributes in that role, in the order in which they are named."""
    held = {**runs.columns, **runs.tags}
    found = {name for name, column in held.items() if role(name, column) is wanted}
    known = [name for name in PREFERRED if name in found]
    return [*known, *sorted(found - {*known})]
