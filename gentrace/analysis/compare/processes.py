"""A process whose runs are slow beside those that others had at the same time.

Which processes a run crossed mostly follows from what became of it: a run that is tried again
crosses more of them, one that takes long meets the next deploy, and a process that lived for a
while has the runs of that while. So a process is compared only among runs that were tried as often,
crossed as many processes, and started in the same small part of the window; and it is asked last,
when everything else that its runs have in common has been accounted for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gentrace.analysis.compare import chances, scores
from gentrace.analysis.compare.candidates import Candidate
from gentrace.analysis.compare.strata import combined
from gentrace.analysis.compare.table import Ints, Table
from gentrace.core import names

_AT_ONCE, _MOST_PARTS = 24, 200
"""So many runs are one part of the window; of many runs, so many parts."""
_CELLS = 4_000_000
"""Of processes times what they are compared within; there are fewer parts where it were more."""


def slowest(runs: Table, strata: Ints, found: Sequence[Ints]) -> Candidate | None:
    """The process that is slow the most clearly, if any is asked.

    Args:
        strata: kind, and the causes found so far.
        found: for each of those causes, which runs are apart by it.
    """
    column = runs.tags.get(names.PROCESSES)
    if column is None:
        return None
    tried = alike(runs)
    ranks = scores.slowness(runs.seconds, runs.ended, combined([strata, tried], len(runs)))
    apart = combined([tried, *found], len(runs))
    room = _CELLS // max(1, len(column.words) * (int(apart.max(initial=0)) + 1))
    parts = max(1, min(_MOST_PARTS, len(runs) // _AT_ONCE, room))
    at_once = np.arange(len(runs)) * parts // max(1, len(runs))
    given = scores.scored(ranks, combined([at_once, apart], len(runs)))
    tested = scores.words(given, column)
    z = np.where(tested.enough, tested.z, 0.0)
    best = int(np.argmax(z)) if len(z) else 0
    if not len(z) or z[best] <= 0:
        return None
    log_p = chances.log_normal_tail(float(z[best]))
    word = column.words[best]
    mask = runs.holds(names.PROCESSES, word)
    return Candidate("attribute", names.PROCESSES, word, mask, log_p, float(z[best]))


def alike(runs: Table) -> Ints:
    """Runs that were tried as often and crossed as many processes have the same number."""
    tried = [runs.column(name).codes for name in (names.TRIES, names.ATTEMPTS, names.REQUEUES)]
    tags = runs.tags.get(names.PROCESSES)
    crossed = np.bincount(tags.rows, minlength=len(runs)) if tags else np.zeros(len(runs))
    return combined([*tried, crossed.astype(np.int64)], len(runs))
