"""Run spans as a group question can use them: what is odd about them put right, and said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gentrace.analysis.compare.table import Table
from gentrace.analysis.timeline import ROUNDED_NS
from gentrace.core.run.times import LONGEST_S, State

_EARLIEST_NS, _LATEST_NS = 10**18, 2**62
"""2001 and 2116: a start outside them is of a clock that nobody has set, or damage."""


def sound(runs: Table) -> tuple[Table, list[str]]:
    """The runs that have a start, with times that sum to their durations; what was done about it.

    As :func:`gentrace.analysis.timeline.times` has it for one run.
    """
    notes: list[str] = []
    begun = (runs.start_ns >= _EARLIEST_NS) & (runs.start_ns <= _LATEST_NS)
    if left_out := int((~begun).sum()):
        spans = "one run span has" if left_out == 1 else f"{left_out} run spans have"
        notes.append(f"{spans} no start that can be (before 2001 or after 2116), left out")
        runs = runs.chosen(begun)
    total = np.sum([*runs.times.values()], axis=0) if len(runs) else runs.seconds
    known = (runs.seconds > 0) & (runs.seconds <= LONGEST_S)
    seconds = np.where(known, runs.seconds, total)
    rest = np.where(np.abs(seconds - total) > ROUNDED_NS / 1e9, seconds - total, 0.0)
    odd = int((rest != 0).sum())
    if not odd and known.all():
        return runs, notes
    if odd:
        spans = "one run" if odd == 1 else f"{odd} runs"
        notes.append(
            f"{spans}: the times on the run span do not add up to it; what is missing is "
            "unexplained, what is too much was cut"
        )
    kept = np.where(rest < 0, seconds / np.where(total > 0, total, 1.0), 1.0)
    times = {state: spent * kept for state, spent in runs.times.items()}
    times[State.UNEXPLAINED] = times[State.UNEXPLAINED] + np.maximum(rest, 0.0)
    return replace(runs, seconds=seconds, times=times), notes
