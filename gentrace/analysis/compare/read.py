"""Runs as columns, the same from any source: files by their index, others trace by trace.

What a group question knows of a run is its run span. A run without one (it goes on, or nobody
wrote its end) is told by its other spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gentrace.analysis import failures, grouping
from gentrace.analysis.compare.model import RunRow
from gentrace.analysis.compare.scores import by_number, renumbered
from gentrace.analysis.compare.sound import sound
from gentrace.analysis.compare.table import Column, Ints, Table, Tags, joined, table
from gentrace.analysis.runs import Run
from gentrace.core import names
from gentrace.core.spans import Trace, plain
from gentrace.sources.base import ALWAYS, Source, Window
from gentrace.sources.index import RunColumns, RunIndex, of_traces
from gentrace.sources.otlp_files import OtlpFiles

OWN = frozenset(
    {names.GENERATION_ID, names.GENERATION_HASH, names.PROVIDER_JOB_ID, names.SUBMISSION_ID,
     *names.TIMES.values()}
)  # fmt: skip
"""What no two runs have in common."""
_TOLD = (
    names.OPERATION, names.PROVIDER, names.MODEL, names.ACCOUNT_ID, names.USER_ID,
    names.DEDUP_RESULT, names.CACHE_RESULT, names.CODE_VERSION, names.WAIT_REASON,
)  # fmt: skip
_COUNTS = (names.TRIES, names.REQUEUES, names.ATTEMPTS)
_MANY = 4
"""Counts from here on are one category."""


@dataclass(frozen=True)
class Runs:
    """What a source holds.

    Attributes:
        notes: what the user should know of the reading.
        truncated: the source held more than it gave.
        windowed: only runs of some time were asked for.
    """

    table: Table
    notes: tuple[str, ...] = ()
    truncated: bool = False
    windowed: bool = False


def read(source: Source, window: Window = ALWAYS) -> Runs:
    """The runs that started in the window.

    Raises:
        SourceError: it cannot be read.
    """
    truncated = False
    if isinstance(source, OtlpFiles):
        with RunIndex(source) as index:
            whole, others, notes = columns(index.columns()), [*index.others()], [*index.notes]
    else:
        given = source.traces(window)
        ended, others = of_traces(given.traces)
        whole, truncated, notes = columns(ended), given.truncated, [*source.notes]
    whole, odd = sound(whole)
    last_ns = _last_ns(source, window.until_ns, whole, others)
    going = rows(grouping.runs(others, elsewhere=whole.ids), last_ns)
    found = _shortened(joined(whole, table(going)).in_order())
    inside = found.start_ns >= window.since_ns
    if window.until_ns:
        inside &= found.start_ns <= window.until_ns
    asked = found if inside.all() else found.chosen(inside)
    return Runs(asked, (*notes, *odd), truncated, window != ALWAYS)


def _last_ns(source: Source, until_ns: int, whole: Table, others: Sequence[Trace]) -> int:
    """Up to when runs without an end went on: the last that is told of, in the window."""
    ends = whole.start_ns + np.rint(whole.seconds * 1e9).astype(np.int64)
    last_ns = max([int(ends.max(initial=0)), *(trace.end_ns for trace in others)])
    files = isinstance(source, OtlpFiles)  # of these everything is told of here, not a window
    if until_ns and (last_ns >= until_ns or (not files and source.goes_on(until_ns))):
        return until_ns
    return last_ns


def rows(found: Iterable[Run], last_ns: int | None = None) -> list[RunRow]:
    """A row for each run; requests that made none are left out.

    Args:
        last_ns: the last moment that the source tells of; by default these runs'. A run that it
            does not see end has gone on at least until then.
    """
    runs = [run for run in found if run.id is not None]
    if last_ns is None:
        last_ns = max((run.last_ns for run in runs), default=0)
    return [row(run, last_ns) for run in runs]


def row(run: Run, last_ns: int = 0) -> RunRow:
    """What a group question needs of one run."""
    span = run.parts.run
    attributes = {name: told for name in _TOLD if (told := run.parts.first(name)) is not None}
    if span is not None:
        apart = OWN | {names.GENERATION_RUN}
        attributes |= {n: plain(v) for n, v in span.attributes.items() if n not in apart}
    else:
        attributes[names.TRIES] = str(len(run.parts.jobs))
        attributes[names.ATTEMPTS] = str(len(run.parts.executes))
        attributes |= _of_the_failure(run)
    if run.account:
        attributes[names.ACCOUNT_ID] = run.account
    duration_ns = run.duration_ns
    known_ns = max(last_ns, run.last_ns) - run.start_ns if duration_ns is None else duration_ns
    return RunRow(
        id=run.id or "",
        run=run.number,
        trace_id=run.trace_id,
        start_ns=run.start_ns,
        duration_s=None if duration_ns is None else duration_ns / 1e9,
        outcome=run.outcome,
        seen_s=max(0, known_ns) / 1e9,
        operation=run.operation,
        provider=run.provider,
        model=run.model,
        times={str(state): spent / 1e9 for state, spent in run.times.spent_ns.items()},
        attributes=attributes,
        error_code=run.error_code,
        error_type=run.error_type,
        stage=run.stage,
        incomplete=tuple(sorted(run.incomplete)),
    )


def _of_the_failure(run: Run) -> dict[str, str]:
    """As the run span would have it."""
    message = run.error_message or ""
    told = {
        names.ERROR_CAUSE: run.error_cause,
        names.ERROR_HTTP_STATUS: run.error_http_status,
        names.ERROR_MESSAGE: None if failures.is_mark(message) else message,
    }
    return {name: str(value) for name, value in told.items() if value}


def columns(found: RunColumns) -> Table:
    """The index's arrays as a table."""
    rows, of, value = found.attributes
    columns: dict[str, Column] = {}
    tags: dict[str, Tags] = {}
    order = by_number(of)
    bounds = np.flatnonzero(np.diff(of[order])) + 1
    for there in np.split(order, bounds) if len(of) else ():
        told = found.words[int(of[there[0]])]
        given, codes = _distinct(value[there])
        words = [found.words[int(code)] for code in given]
        if told == names.PROCESSES:
            tags[told] = _parts(rows[there], codes, words)
            continue
        full = np.full(len(found.ids), -1, dtype=np.int64)
        full[rows[there]] = codes
        columns[told] = Column(full, words)
    both = np.stack(found.traces, axis=1).astype(">u8").tobytes().hex()
    hexes = [both[at : at + 32] for at in range(0, len(both), 32)]
    ended = np.zeros(len(found.ids), dtype=bool)
    if names.OUTCOME in columns:
        ended = columns[names.OUTCOME].codes >= 0
    return Table(
        ids=found.ids,
        traces=np.array(hexes, dtype=object),
        numbers=found.numbers,
        start_ns=found.start_ns,
        seconds=np.maximum(found.end_ns - found.start_ns, 0) / 1e9,
        ended=ended,
        times=found.times,
        columns=columns,
        tags=tags,
    )


def _distinct(values: Ints) -> tuple[Ints, Ints]:
    """The distinct ones, ascending, and for each value its place among them."""
    codes = renumbered(values)
    given = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    given[codes] = values
    return given, codes


def _parts(rows: Ints, codes: Ints, words: list[str]) -> Tags:
    """Lists that were written as one text, taken apart."""
    parts: dict[str, int] = {}
    of_word = [
        [parts.setdefault(p, len(parts)) for p in dict.fromkeys(w.split(","))] for w in words
    ]
    lengths = np.array([len(each) for each in of_word], dtype=np.int64)
    flat = np.array([part for each in of_word for part in each], dtype=np.int64)
    sizes = lengths[codes]
    # where each run's parts begin among all words' parts, and among all runs' parts
    from_ = (np.cumsum(lengths) - lengths)[codes] - (np.cumsum(sizes) - sizes)
    joined_codes = flat[np.repeat(from_, sizes) + np.arange(int(sizes.sum()))]
    return Tags(np.repeat(rows, sizes), joined_codes, list(parts))


def _shortened(runs: Table) -> Table:
    """With the high numbers of counts as one category; conditions still know the numbers."""
    counts = {name: _count(runs.columns[name]) for name in _COUNTS if name in runs.columns}
    return replace(runs, columns={**runs.columns, **counts})


def _count(exact: Column) -> Column:
    told = [f"{_MANY}+" if w.isdecimal() and int(w) >= _MANY else w for w in exact.words]
    words = sorted({*told})
    places = np.array([*(words.index(word) for word in told), -1], dtype=np.int64)
    return Column(places[exact.codes], words, exact)
