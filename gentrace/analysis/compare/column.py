"""One attribute of many runs: its distinct words and, for each run, the number of its word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """One attribute of many runs.

    Attributes:
        exact: the same where words of this one stand for several.
    """

    codes: Ints
    words: Sequence[str]
    exact: Column | None = None

    def is_(self, word: str) -> Bools:
        """Which runs have that word."""
        if word in self.words:
            return self.codes == self.words.index(word)
        return self.exact.is_(word) if self.exact else np.zeros(len(self.codes), dtype=bool)

    def at(self, row: int) -> str | None:
        """One run's word."""
        code = int(self.codes[row])
        return None if code < 0 else self.words[code]

    def chosen(self, rows: Any) -> Column:
        """The same of some runs."""
        return Column(self.codes[rows], self.words, self.exact and self.exact.chosen(rows))


@dataclass(frozen=True)
class Tags:
    """An attribute with many words a run (``gentrace.processes``): pairs of run and word."""

    rows: Ints
    codes: Ints
    words: Sequence[str]

    def chosen(self, kept: Bools) -> Tags:
        """The same of some runs, with their new row numbers."""
        there = kept[self.rows]
        numbers = np.cumsum(kept) - 1
        return Tags(numbers[self.rows[there]], self.codes[there], self.words)
