"""What rises and falls all along: load follows the day, and no stretch of that is an event.

Runs near in time share their waits, so that a test which takes them one by one finds something
special about every busy hour. A stretch has to stand out from how the same time varies outside of
it, from one block of runs to the next.
"""

from __future__ import annotations

import numpy as np

from gentrace.analysis.compare.scores import LEAST
from gentrace.analysis.compare.strata import centres
from gentrace.analysis.compare.table import Bools, Floats, Ints

_BLOCKS = 20
_HIGH = 0.8
"""Which of the blocks is still usual: a second event may be among the higher ones."""
TIMES_OVER = 3.0
"""How many times over the usual rise a stretch must rise."""
_DENSE = 0.6


def is_stretch(mask: Bools) -> bool:
    """Whether most runs between its first and its last (but for stragglers) are its own."""
    rows = np.flatnonzero(mask)
    if len(rows) < LEAST or len(rows) > 0.9 * len(mask):
        return False
    low, high = (int(rows[int(share * (len(rows) - 1))]) for share in (0.05, 0.95))
    return float(mask[low : high + 1].mean()) >= _DENSE


def stands_out(
    spent: Floats, inside: Bools, outside: Bools, strata: Ints, *, steadily: bool = False
) -> bool:
    """Whether the time is longer in the one group than it ever is for a while in the other.

    Args:
        spent: seconds by run, in the order of their start; each is taken beside its stratum's.
        steadily: both groups are long stretches, so that neither may vary so much itself.
    """
    spent = spent - centres(spent, strata, outside)
    usual, spread = _levels(spent[outside])
    level = float(np.median(spent[inside]))
    if steadily:
        spread = max(spread, _levels(spent[inside])[1])
    return abs(level - usual) > TIMES_OVER * spread


def _levels(spent: Floats) -> tuple[float, float]:
    """The middle of the blocks' medians, and how far above it blocks are that are usual still."""
    size = max(LEAST, len(spent) // _BLOCKS)
    blocks = np.array_split(spent, max(1, len(spent) // size))
    medians = np.array([np.median(block) for block in blocks])
    middle = float(np.median(medians))
    return middle, float(np.quantile(medians, _HIGH)) - middle
