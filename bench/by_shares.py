"""The plain ranking that the group questions are measured against: by difference of shares.

For each attribute and value its share among the runs in question less its share among the rest,
the largest difference first. Views that compare a selection of spans with a baseline rank so. It
knows no chance, no kind of its own and no time: it names attributes.
"""

from __future__ import annotations

import numpy as np

from gentrace.analysis.compare import candidates
from gentrace.analysis.compare.slow import is_slow
from gentrace.analysis.compare.strata import p90
from gentrace.analysis.compare.table import Bools, Column, Table
from gentrace.core import names

BOUND = 0.1
"""From which difference on a careful reader would look at a value: ten percentage points."""
_TOLD = 3


def guesses(runs: Table, question: str, least: float = 0.0) -> list[list[tuple[str, str]]]:
    """What the ranking names first, for each comparison that the question makes.

    It is given the question's own groups and the attributes that the question takes for possible
    causes, which is more than such a view knows.

    Args:
        question: ``slow`` or ``failing``.
        least: a value is named only from this difference on.
    """
    if question == "failing":
        failed, went_well = (runs.outcome.is_(each) for each in (names.FAILED, names.COMPLETED))
        return [ranking(runs, failed, went_well, least)]
    mask = is_slow(runs, p90(runs))
    newer = np.arange(len(runs)) >= len(runs) // 2
    return [ranking(runs, mask, ~mask, least), ranking(runs, newer, ~newer, least)]


def ranking(runs: Table, inside: Bools, outside: Bools, least: float) -> list[tuple[str, str]]:
    """The values with the largest differences of shares, as name and value."""
    found: list[tuple[float, str, str]] = []
    n_in, n_out = max(1, int(inside.sum())), max(1, int(outside.sum()))
    for name, column in candidates.columns(runs, candidates.causes(runs, True)):
        rows = np.arange(len(runs)) if isinstance(column, Column) else column.rows
        known = column.codes >= 0
        codes, rows = column.codes[known], rows[known]
        ours = np.bincount(codes[inside[rows]], minlength=len(column.words)) / n_in
        theirs = np.bincount(codes[outside[rows]], minlength=len(column.words)) / n_out
        for code, word in enumerate(column.words):
            found.append((float(ours[code] - theirs[code]), name, word))
    found.sort(key=lambda each: (-each[0], each[1:]))
    return [(name, word) for by, name, word in found[:_TOLD] if by > 0 and by >= least]
