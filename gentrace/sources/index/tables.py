"""The index's tables, how rows get into them, and what comes out as columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from gentrace.core import names
from gentrace.core.spans import Event, Link, Span
from gentrace.sources.index.fields import Fields, number, text
from gentrace.sources.index.scan import TELLING, told_of

VERSION = 4
OWN = frozenset({names.GENERATION_HASH, names.PROVIDER_JOB_ID, names.SUBMISSION_ID})
"""What no two runs have in common."""
TIMES = {name: place for place, name in enumerate(names.TIMES.values())}
_AT_ONCE = 10_000
_PAIR = ("name", "value")
_COLUMNS = ", ".join(f"t{place} DOUBLE" for place in TIMES.values())
SCHEMA = f"""
CREATE TABLE about (version INTEGER, place VARCHAR);
CREATE TABLE files (id INTEGER, path VARCHAR, inode BIGINT, size BIGINT, mtime_ns BIGINT,
    ctime_ns BIGINT, marks VARCHAR, read_to BIGINT, lines INTEGER, spans INTEGER);
CREATE TABLE words (code INTEGER, word VARCHAR);
CREATE TABLE runs (key INTEGER, file INTEGER, hi UBIGINT, lo UBIGINT, span UBIGINT,
    generation VARCHAR, number INTEGER, start_ns BIGINT, end_ns BIGINT, size INTEGER, {_COLUMNS});
CREATE TABLE attributes (key INTEGER, name INTEGER, value INTEGER);
CREATE TABLE spans (file INTEGER, hi UBIGINT, lo UBIGINT, generation VARCHAR, least BOOLEAN,
    span VARCHAR);
"""
ENDED = """EXISTS (FROM runs WHERE runs.hi = told.hi AND runs.lo = told.lo
    AND (told.generation = '' OR told.generation = runs.generation))"""
"""Whether what a span tells of has its run span; one without a generation tells of any."""
SETTLED = f"""
    DELETE FROM spans AS told WHERE {ENDED} OR (told.least AND EXISTS (
        FROM spans WHERE spans.hi = told.hi AND spans.lo = told.lo AND NOT spans.least))
"""
"""Leaves the spans that tell of runs without a run span; the least telling where there are none
but them."""
NEWEST = """
    SELECT * FROM runs
    QUALIFY row_number() OVER (PARTITION BY hi, lo, span ORDER BY end_ns DESC, size DESC, key DESC)
        = 1
"""
"""A run span may be written twice, by processes that know more or less of it."""
REPEATED = (
    "SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT hi, lo, span FROM runs)) FROM runs"
)


@dataclass(frozen=True)
class RunColumns:
    """Run spans as arrays, oldest first.

    Attributes:
        traces: the trace ids as two numbers each.
        times: seconds, by state.
        words: what the codes in ``attributes`` stand for.
        attributes: row, code of the name, code of the value.
    """

    ids: NDArray[Any]
    numbers: NDArray[np.int64]
    traces: tuple[NDArray[np.uint64], NDArray[np.uint64]]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    times: Mapping[str, NDArray[np.float64]]
    words: Mapping[int, str]
    attributes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


class Writer:
    """Puts run spans in, some thousands at a time."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self.db = db
        self._words = {word: code for code, word in db.execute("FROM words").fetchall()}
        self._told = len(self._words)
        ((last,),) = db.execute("SELECT coalesce(max(key), -1) FROM runs").fetchall()
        self._key = int(last) + 1
        self._rows: list[tuple[Any, ...]] = []
        self._times: list[list[float]] = []
        self._attributes: list[int] = []  # of all rows, as places among self._pairs
        self._pairs: list[tuple[int, int]] = [(-1, -1)]
        self._known: dict[str, dict[bytes, int]] = {}

    def run(self, run: Fields, file: int) -> None:
        """A run span."""
        known, attributes = self._known, self._attributes
        before = len(attributes)
        times = [0.0] * len(TIMES)
        generation, which = "", 1
        for pair in run.pairs:
            name = pair.key
            values = known.get(name)
            if values is None:
                if (place := TIMES.get(name)) is not None:
                    times[place] = number(pair.value)
                    continue
                if name == names.GENERATION_ID:
                    generation = text(pair.value)
                    continue
                if name == names.GENERATION_RUN:
                    which = int(number(pair.value)) or 1
                    continue
                if name in OWN:
                    continue
                values = known[name] = {}
            value = bytes(pair.value)
            found = values.get(value)
            if found is None:
                found = values[value] = self._pair(name, text(value))
            if found:
                attributes.append(found)
        low = run.trace & 0xFFFFFFFFFFFFFFFF
        self._rows.append((self._key, file, run.trace >> 64, low, run.span, generation, which,
                           run.start_ns, run.end_ns, len(run.pairs),
                           len(attributes) - before))  # fmt: skip
        self._times.append(times)
        self._key += 1
        if len(self._rows) >= _AT_ONCE:
            self.flush()

    def _pair(self, name: str, told: str) -> int:
        """The place of a name and a value among those known; 0 where there is no value."""
        if not told:
            return 0
        self._pairs.append((self._code(name), self._code(told)))
        return len(self._pairs) - 1

    def _code(self, word: str) -> int:
        return self._words.setdefault(word, len(self._words))

    def telling(self, spans: Iterable[Span], file: int) -> None:
        """Other spans of runs, kept until their run span comes."""
        kinds = (np.int32, np.uint64, np.uint64, object, np.bool_, object)
        columns = ("file", "hi", "lo", "generation", "least", "span")
        rows = ((file, *_trace(s), told_of(s) or "", s.name not in TELLING, _text(s))
                for s in spans)  # fmt: skip
        while some := [*islice(rows, _AT_ONCE)]:
            self._insert("spans", columns, some, kinds)

    def files(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Files, in the place of what was known of them."""
        if rows:
            self.db.execute("DELETE FROM files WHERE id IN ?", [[row[0] for row in rows]])
            kinds = (np.int32, object, np.int64, np.int64, np.int64, np.int64, object, np.int64,
                     np.int32, np.int32)  # fmt: skip
            self._insert("files", [f"c{n}" for n in range(len(kinds))], rows, kinds)

    def flush(self) -> None:
        """Everything given so far is in the tables."""
        if self._rows:
            kinds = (np.int32, np.int32, np.uint64, np.uint64, np.uint64, object, np.int32,
                     np.int64, np.int64, np.int32)  # fmt: skip
            arrays = {f"c{place}": _array([row[place] for row in self._rows], kind)
                      for place, kind in enumerate(kinds)}  # fmt: skip
            spent = np.array(self._times)
            arrays |= {
                f"t{place}": np.ascontiguousarray(spent[:, place]) for place in TIMES.values()
            }
            self._from(arrays, "runs")
            keys, sizes = (np.array([row[at] for row in self._rows], np.int32) for at in (0, -1))
            codes = np.array(self._pairs, np.int32)[np.array(self._attributes, np.int64)]
            given = {"key": np.repeat(keys, sizes)}
            given |= {name: np.ascontiguousarray(codes[:, n]) for n, name in enumerate(_PAIR)}
            self._from(given, "attributes")
            self._rows, self._times, self._attributes = [], [], []
        fresh = [*self._words.items()][self._told :]
        if fresh:
            self._insert("words", ("code", "word"), [(c, w) for w, c in fresh], (np.int32, object))
            self._told = len(self._words)

    def _insert(
        self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], kinds: Any
    ) -> None:
        arrays = {name: _array([row[n] for row in rows], kind)
                  for n, (name, kind) in enumerate(zip(columns, kinds, strict=True))}  # fmt: skip
        self._from(arrays, table)

    def _from(self, arrays: Mapping[str, NDArray[Any]], table: str) -> None:
        self.db.register("given", arrays)
        self.db.execute(f"INSERT INTO {table} FROM given")
        self.db.unregister("given")


def columns(db: duckdb.DuckDBPyConnection) -> RunColumns:
    """Every run span, of those written twice the fullest."""
    ((twice,),) = db.execute(REPEATED).fetchall()
    runs = f"({NEWEST})" if twice else "runs"
    found = db.execute(f"FROM {runs} ORDER BY start_ns, hi, lo").fetchnumpy()
    keys = found["key"].astype(np.int64)
    pairs = db.execute("FROM attributes").fetchnumpy()
    places = np.full(int(keys.max(initial=-1)) + 2, -1, dtype=np.int64)
    places[keys] = np.arange(len(keys))
    given = pairs["key"].astype(np.int64)
    rows = places[np.minimum(given, len(places) - 1)]
    kept = rows >= 0
    of, told = (pairs[name][kept].astype(np.int64) for name in ("name", "value"))
    return RunColumns(
        ids=found["generation"],
        numbers=found["number"].astype(np.int64),
        traces=(found["hi"], found["lo"]),
        start_ns=found["start_ns"].astype(np.int64),
        end_ns=found["end_ns"].astype(np.int64),
        times={state: found[f"t{place}"] for place, state in enumerate(names.TIMES)},
        words=dict(db.execute("FROM words").fetchall()),
        attributes=(rows[kept], of, told),
    )


def spans(db: duckdb.DuckDBPyConnection) -> Iterable[Span]:
    """The spans kept of runs without a run span."""
    reader = db.execute("SELECT hi, lo, span FROM spans")
    while rows := reader.fetchmany(5_000):
        for high, low, told in rows:
            yield _span(f"{high:016x}{low:016x}", json.loads(told))


def _array(values: Sequence[Any], kind: Any) -> NDArray[Any]:
    return np.array(values, dtype=kind)


def _trace(span: Span) -> tuple[int, int]:
    return int(span.trace_id[:16], 16), int(span.trace_id[16:], 16)


def _text(span: Span) -> str:
    events = [(e.name, e.at_ns, dict(e.attributes)) for e in span.events]
    told = (span.span_id, span.parent_id, span.name, span.kind, span.start_ns, span.end_ns,
            dict(span.attributes), span.status, span.status_message, events,
            [(link.trace_id, link.span_id) for link in span.links])  # fmt: skip
    return json.dumps(told, separators=(",", ":"), default=str)


def _span(trace_id: str, told: Sequence[Any]) -> Span:
    span_id, parent_id, name, kind, start_ns, end_ns, attributes, status, message, *more = told
    events, links = more
    return Span(
        trace_id, span_id, parent_id, name, kind, start_ns, end_ns, attributes,
        tuple(Event(*event) for event in events), tuple(Link(*link) for link in links),
        status=status, status_message=message,
    )  # fmt: skip
