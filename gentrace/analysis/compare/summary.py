"""A group in numbers, and in which of the times two groups differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from gentrace.analysis.compare.model import Group, TimeDifference
from gentrace.analysis.compare.scores import quantile
from gentrace.analysis.compare.table import Bools, Table

_SHOWN = 2_000
_NOTHING_S = 1e-9


def group(label: str, runs: Table, mask: Bools) -> Group:
    """One side of a comparison."""
    seconds, ended = runs.seconds[mask], runs.ended[mask]
    known = mask & runs.ended
    outcome = runs.outcome
    told: list[int] = outcome.codes[mask].tolist()
    words = Counter(told)
    return Group(
        label=label,
        n=len(seconds),
        finished=int(ended.sum()),
        unfinished=int((~ended).sum()),
        p50_s=quantile(seconds, ended, 0.5),
        p90_s=quantile(seconds, ended, 0.9),
        durations=_shown(seconds[ended]),
        ages=_shown(seconds[~ended]),
        times={t: float(v[known].mean()) for t, v in runs.times.items()} if known.any() else {},
        medians={t: float(np.median(v[known])) for t, v in runs.times.items()}
        if known.any()
        else {},
        outcomes={
            outcome.words[code] if code >= 0 else "unfinished": n for code, n in words.items()
        },
    )


def times(a: Group, b: Group) -> Mapping[str, TimeDifference]:
    """By time, the largest difference first; only times that either group has."""
    held = [time for time in {**a.times, **b.times} if a.times.get(time) or b.times.get(time)]
    both = a.times and b.times
    differences = {time: a.times[time] - b.times[time] for time in held} if both else {}
    parts = shares(differences)
    found = {
        time: TimeDifference(
            a_s=a.times.get(time),
            b_s=b.times.get(time),
            a_median_s=a.medians.get(time),
            b_median_s=b.medians.get(time),
            difference_s=differences.get(time),
            share=parts.get(time),
        )
        for time in held
    }
    return dict(sorted(found.items(), key=lambda item: -_size(item[1])))


def shares(differences: Mapping[str, float]) -> dict[str, float]:
    """What part of a difference each time makes: from 0 to 1, all together 1.

    The whole is what goes the way of the sum. A time that goes the other way is no part of that,
    nor is anything where the sum is nothing.
    """
    total = sum(differences.values())
    if abs(total) <= _NOTHING_S:
        return {}
    with_it = {time: abs(each) for time, each in differences.items() if each * total > 0}
    whole = sum(with_it.values())
    return {time: each / whole for time, each in with_it.items()}


def _size(each: TimeDifference) -> float:
    """The difference; where there is none, what the one side has."""
    if each.difference_s is not None:
        return abs(each.difference_s)
    return each.a_s or each.b_s or 0.0


def counted(n: int, word: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _shown(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, ...]:
    """Ascending; of many, so many evenly over their order, the ends among them."""
    ordered = np.sort(values)
    if len(ordered) > _SHOWN:
        ordered = ordered[np.linspace(0, len(ordered) - 1, _SHOWN).round().astype(int)]
    return tuple(float(value) for value in ordered)
