"""A group in numbers, and in which of the times two groups differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from gentrace.analysis.compare.model import Group, TimeDifference
from gentrace.analysis.compare.scores import quantile
from gentrace.analysis.compare.table import Bools, Table

_SHOWN = 2_000


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
        times={t: float(v[known].mean()) if known.any() else 0.0 for t, v in runs.times.items()},
        medians={
            t: float(np.median(v[known])) if known.any() else 0.0 for t, v in runs.times.items()
        },
        outcomes={
            outcome.words[code] if code >= 0 else "unfinished": n for code, n in words.items()
        },
    )


def times(a: Group, b: Group) -> Mapping[str, TimeDifference]:
    """By time, the largest difference first; only times that either group has."""
    differences = {time: a.times[time] - b.times[time] for time in a.times}
    total = sum(differences.values())
    found = {
        time: TimeDifference(
            a_s=a.times[time],
            b_s=b.times[time],
            a_median_s=a.medians[time],
            b_median_s=b.medians[time],
            difference_s=difference,
            share=difference / total if abs(total) > 1e-9 else None,
        )
        for time, difference in differences.items()
        if a.times[time] or b.times[time]
    }
    return dict(sorted(found.items(), key=lambda item: -abs(item[1].difference_s)))


def _shown(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, ...]:
    """Ascending; of many, so many evenly over their order, the ends among them."""
    ordered = np.sort(values)
    if len(ordered) > _SHOWN:
        ordered = ordered[np.linspace(0, len(ordered) - 1, _SHOWN).round().astype(int)]
    return tuple(float(value) for value in ordered)
