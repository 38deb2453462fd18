"""What rises and falls all along: load follows the day, and no stretch of that is an event.

Runs near in time share their waits, so that a test which takes them one by one finds something
special about every busy hour. A stretch has to stand out from how the same time varies outside of
it, from one block of runs to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gentrace.analysis.compare import effects
from gentrace.analysis.compare.scores import LEAST
from gentrace.analysis.compare.strata import centres
from gentrace.analysis.compare.table import Bools, Floats, Ints, Table
from gentrace.core.run.times import WAITS, State

_BLOCKS = 20
_HIGH = 0.8
"""Which of the blocks is still usual: a second event may be among the higher ones."""
_BESIDE = 0.2
"""Of a usual run: times are compared in logarithms of themselves and that."""
_TIMES_OVER, _JUMP, _OF_A_JUMP = 6.0, 0.8, 4.0
"""How many times over the usual rise a stretch must rise; less where it is a jump."""
_LONG = 0.25
"""Of all runs: a stretch that long has busy and quiet blocks itself, and is judged by them, too."""
_DENSE = 0.6
_WAITS = frozenset({str(State.QUEUE), *map(str, WAITS)})
"""Only some runs may have them: their middle is a mean without its ends, else it is the median."""
_UPPER_FIFTH = 0.84
"""Of what scatters by chance, in standard deviations above the middle."""
_KEPT = 0.8
"""Of a block's runs, without the tenth at either end."""
_TOGETHER = 1.0
"""How much of their scatter neighbouring blocks share where they hang together, by the root of how
many there are."""


def is_stretch(mask: Bools) -> bool:
    """Whether most runs between its first and its last (but for stragglers) are its own."""
    rows = np.flatnonzero(mask)
    if len(rows) < LEAST or len(rows) > 0.9 * len(mask):
        return False
    low, high = (int(rows[int(share * (len(rows) - 1))]) for share in (0.05, 0.95))
    return float(mask[low : high + 1].mean()) >= _DENSE


def stands_out(
    runs: Table, time: str, inside: Bools, outside: Bools, strata: Ints, sought: bool = True
) -> bool:
    """Whether that time differs in the one group by more than it varies in the other for a while.

    In proportion, beside a part of what a run usually takes: kinds that take longer get slower by
    more, and a short time that becomes less short is nothing.

    Args:
        sought: the stretch was chosen among many for being slow. Then its own scatter counts as
            variation even where it looks like chance; of halves that were fixed, it does not.
    """
    usual_s = float(np.median(runs.seconds[outside])) if outside.any() else 0.0
    inside, outside = inside & runs.ended, outside & runs.ended
    if not inside.any() or not outside.any():
        return True
    spent = np.log(runs.times[time] + max(_BESIDE * usual_s, 1e-3))
    spent = spent - centres(spent, strata, outside)
    middle = effects.trimmed if time in _WAITS else np.median
    usual, spread = _levels(spent[outside], middle, sought)
    level = float(middle(spent[inside]))
    if inside.sum() > _LONG * (inside | outside).sum():
        spread = max(spread, _levels(spent[inside], middle, sought)[1])
    rise = abs(level - usual)
    return rise > (_OF_A_JUMP if rise > _JUMP else _TIMES_OVER) * spread


def _levels(
    spent: Floats, middle_of: Callable[[Floats], float], sought: bool
) -> tuple[float, float]:
    """The middle of the blocks, and how far above it blocks are that are usual still.

    What blocks of so few runs would scatter if there were no drift is taken off, up to the half.
    Where a block tells nothing of the next, nothing drifts: then two thirds of it go.
    """
    size = max(LEAST, len(spent) // _BLOCKS)
    blocks = np.array_split(spent, max(1, len(spent) // size))
    levels = np.array([middle_of(block) for block in blocks])
    middle = float(np.median(levels))
    above = float(np.quantile(levels, _HIGH)) - middle
    chance = _UPPER_FIFTH * _error(blocks)
    if not sought and not _hangs_together(levels):
        return middle, min(above, chance) / 3
    return middle, float(np.sqrt(max((above / 2) ** 2, above**2 - chance**2)))


def _error(blocks: Sequence[Floats]) -> float:
    """By how much the middle of a block errs by chance: the ends of each block are drawn in."""
    variances: list[float] = []
    for block in blocks:
        low, high = np.quantile(block, (0.1, 0.9))
        variances.append(float(np.clip(block, low, high).var() / len(block)) / _KEPT**2)
    return float(np.sqrt(np.mean(variances)))


def _hangs_together(levels: Floats) -> bool:
    """Whether a block is like the one before it, as it is where something rises and falls."""
    apart = levels - levels.mean()
    whole = float((apart**2).sum())
    shared = float((apart[1:] * apart[:-1]).sum())
    return shared > _TOGETHER * whole / len(levels) ** 0.5
