"""Many runs as columns: what the tests count over, without an object for each run.

A text column is its distinct words and, for each run, the number of its word (-1: it has none).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gentrace.analysis.compare.column import Bools, Column, Ints, Tags
from gentrace.analysis.compare.model import Exemplar, RunRow
from gentrace.core import names
from gentrace.core.run.times import State

Floats = NDArray[np.float64]

KIND = (names.OPERATION, names.PROVIDER, names.MODEL)
TIMES = tuple(str(state) for state in State)


@dataclass(frozen=True)
class Table:
    """Runs by start.

    Attributes:
        seconds: durations; of an unfinished run the age it is known to have reached.
        ended: whether it has ended; else ``seconds`` is a lower bound.
        times: seconds in each of the times.
        columns: attributes with one word a run, by name; outcome, error and stage among them.
        tags: attributes with many words a run.
    """

    ids: Sequence[str] | NDArray[Any]
    traces: Sequence[str] | NDArray[Any]
    numbers: Ints
    start_ns: Ints
    seconds: Floats
    ended: Bools
    times: Mapping[str, Floats]
    columns: Mapping[str, Column]
    tags: Mapping[str, Tags]

    def __len__(self) -> int:
        return len(self.start_ns)

    @cached_property
    def outcome(self) -> Column:
        """How each ended."""
        return self.column(names.OUTCOME)

    def column(self, name: str) -> Column:
        """That attribute; one that no run has is empty."""
        found = self.columns.get(name)
        return found if found else Column(np.full(len(self), -1, dtype=np.int64), ())

    def holds(self, name: str, value: str) -> Bools:
        """Which runs have the attribute with that value, or are the run of that number."""
        if name == names.GENERATION_RUN:
            return self.numbers == (int(value) if value.isdecimal() else -1)
        tags = self.tags.get(name)
        if tags is None:
            return self.column(name).is_(value)
        found = np.zeros(len(self), dtype=bool)
        if value in tags.words:
            found[tags.rows[tags.codes == list(tags.words).index(value)]] = True
        return found

    def chosen(self, kept: Bools) -> Table:
        """Some of the runs."""
        if kept.all():
            return self
        rows = np.flatnonzero(kept)
        return Table(
            np.asarray(self.ids, dtype=object)[rows],
            np.asarray(self.traces, dtype=object)[rows],
            self.numbers[rows],
            self.start_ns[rows],
            self.seconds[rows],
            self.ended[rows],
            {name: spent[rows] for name, spent in self.times.items()},
            {name: column.chosen(rows) for name, column in self.columns.items()},
            {name: tags.chosen(kept) for name, tags in self.tags.items()},
        )

    def in_order(self) -> Table:
        """The same, names and words by the alphabet: no answer hangs on what was read first."""
        columns = {name: Column(*_by_word(column)) for name, column in sorted(self.columns.items())}
        tags: dict[str, Tags] = {}
        for name, each in sorted(self.tags.items()):
            codes, words = _by_word(each)
            order = np.lexsort((codes, each.rows))
            tags[name] = Tags(each.rows[order], codes[order], words)
        return replace(self, columns=columns, tags=tags)

    def exemplar(self, row: int) -> Exemplar:
        """A run to look at."""
        return Exemplar(str(self.ids[row]), str(self.traces[row]))


def joined(a: Table, b: Table) -> Table:
    """The runs of both, by start."""
    if not len(b):
        return a
    n = len(a)
    start_ns = np.concatenate([a.start_ns, b.start_ns])
    order = np.argsort(start_ns, kind="stable")
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))

    def texts(x: Any, y: Any) -> NDArray[Any]:
        return np.concatenate([np.asarray(x, dtype=object), np.asarray(y, dtype=object)])[order]

    columns: dict[str, Column] = {}
    for name in [*a.columns, *(name for name in b.columns if name not in a.columns)]:
        first, second = a.column(name), b.column(name)
        words, codes = _recoded(first.words, second.words, second.codes)
        columns[name] = Column(np.concatenate([first.codes, codes])[order], words)
    tags: dict[str, Tags] = {}
    for name in [*a.tags, *(name for name in b.tags if name not in a.tags)]:
        nothing = np.zeros(0, dtype=np.int64)
        first, second = (each.tags.get(name) or Tags(nothing, nothing, ()) for each in (a, b))
        words, codes = _recoded(first.words, second.words, second.codes)
        rows = np.concatenate([first.rows, second.rows + n])
        tags[name] = Tags(places[rows], np.concatenate([first.codes, codes]), words)
    return Table(
        texts(a.ids, b.ids),
        texts(a.traces, b.traces),
        np.concatenate([a.numbers, b.numbers])[order],
        start_ns[order],
        np.concatenate([a.seconds, b.seconds])[order],
        np.concatenate([a.ended, b.ended])[order],
        {t: np.concatenate([a.times[t], b.times[t]])[order] for t in TIMES},
        columns,
        tags,
    )


def _by_word(given: Column | Tags) -> tuple[Ints, list[str]]:
    """Its codes and words, the words by the alphabet."""
    words = sorted(given.words)
    places = {word: place for place, word in enumerate(words)}
    moved = np.array([*(places[word] for word in given.words), -1], dtype=np.int64)
    return moved[given.codes], words


def _recoded(known: Sequence[str], added: Sequence[str], codes: Ints) -> tuple[list[str], Ints]:
    """Words of both, and the second's codes in them."""
    words = dict.fromkeys([*known, *added])
    places = {word: place for place, word in enumerate(words)}
    moved = np.array([*(places[word] for word in added), -1], dtype=np.int64)
    return list(words), moved[codes]


def table(rows: Iterable[RunRow]) -> Table:
    """The columns of these runs, sorted by start; of one run given twice the last counts."""
    unique = {(row.trace_id, row.id, row.run): row for row in rows}
    given = sorted(unique.values(), key=lambda row: (row.start_ns, row.trace_id))
    words: dict[str, dict[str, int]] = {}
    codes: dict[str, Ints] = {}
    tagged: dict[str, list[tuple[int, int]]] = {}
    for number, row in enumerate(given):
        for name, value in _texts(row):
            known = words.setdefault(name, {})
            code = known.setdefault(value, len(known))
            if name == names.PROCESSES:
                tagged.setdefault(name, []).append((number, code))
                continue
            if name not in codes:
                codes[name] = np.full(len(given), -1, dtype=np.int64)
            codes[name][number] = code
    pairs = {name: np.array(found, dtype=np.int64) for name, found in tagged.items()}
    return Table(
        ids=[row.id for row in given],
        traces=[row.trace_id for row in given],
        numbers=np.array([row.run for row in given], dtype=np.int64),
        start_ns=np.array([row.start_ns for row in given], dtype=np.int64),
        seconds=np.array([max(row.at_least_s, 0.0) for row in given], dtype=np.float64),
        ended=np.array([row.duration_s is not None for row in given], dtype=bool),
        times={
            time: np.array([row.times.get(time, 0.0) for row in given], dtype=np.float64)
            for time in TIMES
        },
        columns={name: Column(codes[name], list(words[name])) for name in codes},
        tags={
            name: Tags(found[:, 0], found[:, 1], list(words[name])) for name, found in pairs.items()
        },
    )


def _texts(row: RunRow) -> Iterator[tuple[str, str]]:
    """Every attribute of a run as name and text, each name once but for lists."""
    own = {
        names.OPERATION: row.operation,
        names.PROVIDER: row.provider,
        names.MODEL: row.model,
        names.OUTCOME: row.outcome,
        names.ERROR_CODE: row.error_code,
        names.ERROR_TYPE: row.error_type,
        names.STAGE: row.stage,
    }
    yield from ((name, value) for name, value in own.items() if value)
    for name, value in row.attributes.items():
        if name in own or not value:
            continue
        if name == names.PROCESSES:
            yield from ((name, part) for part in dict.fromkeys(value.split(",")))
        else:
            yield name, value
