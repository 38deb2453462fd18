"""Where things lie in the pages' drawings: axes of durations, histograms, intervals; in pixels."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gentrace.report import words

BINS = 36
_LOG_FROM = 30  # a range of more than this is shown on a logarithmic axis
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from ``low`` to ``high`` on ``left`` to ``right``, evenly or by their logarithm."""

    low: float
    high: float
    left: float
    right: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where the value lies; what is outside lies at the edge."""
        value = min(self.high, max(self.low, value))
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.left + share * (self.right - self.left), 1)

    def edges(self, count: int) -> list[float]:
        """The borders of that many bins, equally wide on the axis."""
        if self.log:
            ratio = self.high / self.low
            return [self.low * ratio ** (n / count) for n in range(count + 1)]
        return [self.low + (self.high - self.low) * n / count for n in range(count + 1)]

    def ticks(self) -> list[tuple[float, str]]:
        """Round values and where they lie."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [step * 10.0**power for power in powers for step in _STEPS]
        else:
            rough = (self.high - self.low) / 5
            power = 10.0 ** math.floor(math.log10(rough))
            step = next(s * power for s in (*_STEPS, 10) if s * power >= rough)
            first = math.ceil(self.low / step)
            values = [step * (first + n) for n in range(8)]
        inside = [value for value in values if self.low <= value <= self.high]
        if len(inside) > 8:
            inside = [value for value in inside if f"{value:e}".startswith("1")]
        return [(self.at(value), words.duration(round(value * 1e9))) for value in inside]


def axis(values: Iterable[float], left: float, right: float) -> Axis:
    """An axis that holds all the durations (seconds), logarithmic where they are far apart."""
    found = [value for value in values if value > 0 and math.isfinite(value)]
    low, high = min(found, default=0.5), max(found, default=1.0)
    if high / low > _LOG_FROM:
        return Axis(low, high, left, right, log=True)
    return Axis(0.0, high * 1.02, left, right)


def histogram(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    """The share of the values in each bin; they sum to 1 where there is any value."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(len(counts) - 1, max(0, bisect_right(edges, value) - 1))] += 1
    return [count / len(values) if values else 0.0 for count in counts]


def interval_axis(effects: Iterable[tuple[float, float, float]], width: float) -> Axis:
    """One axis for effects with their low and high ends; zero is always on it."""
    flat = [value for each in effects for value in each if math.isfinite(value)]
    low, high = min([0.0, *flat]), max([0.0, *flat])
    if high <= low:
        low, high = -1.0, 1.0
    room = (high - low) * 0.04
    return Axis(low - room, high + room, 0.0, width)
