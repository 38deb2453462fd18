"""Failures that look alike: how many, how far they got, since when and whether they still come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from gentrace.analysis.compare.model import Fingerprint, NearestSuccess
from gentrace.analysis.compare.scores import LEAST
from gentrace.analysis.compare.strata import combined
from gentrace.analysis.compare.table import KIND, Bools, Ints, Table
from gentrace.analysis.compare.told import Told, worded
from gentrace.core import names

PARTS = (names.ERROR_CODE, names.ERROR_TYPE, names.STAGE)
_MORE = (names.ERROR_HTTP_STATUS, names.ERROR_CAUSE, names.ERROR_MESSAGE)
_SILENT = 0.02
"""Runs without a failure are taken for its end, or for a time before it, where failures that come
at any moment alike would leave so many out less often than that, in any of the fingerprints."""
_FEW = 3
"""Under so many failures nothing is said of when they began and whether they are over."""
_EXEMPLARS = 5
_MOST = 12


def fingerprints(runs: Table, failed: Bools) -> tuple[list[str], Ints]:
    """The texts, and for each run the number of its own (-1: it has not failed)."""
    codes = np.full(len(runs), -1, dtype=np.int64)
    rows = np.flatnonzero(failed)
    if not len(rows):
        return [], codes
    parts = [runs.column(name) for name in (*PARTS, *_MORE)]
    alike = combined([part.codes[rows] for part in parts], len(rows))
    _, first = np.unique(alike, return_index=True)
    told = worded([Told(*(part.at(int(rows[row])) for part in parts)) for row in first])
    kinds: dict[str, set[str]] = {}
    for failure in told:
        kinds.setdefault(failure.line(short=True), set()).add(failure.type or "")
    shorts = [failure.line(short=True) for failure in told]
    each = [
        short if len(kinds[short]) == 1 else failure.line()
        for short, failure in zip(shorts, told, strict=True)
    ]
    places = {line: place for place, line in enumerate(dict.fromkeys(each))}
    codes[rows] = np.array([places[line] for line in each], dtype=np.int64)[alike]
    return [*places], codes


def frequent(texts: Sequence[str], codes: Ints) -> list[tuple[str, Bools]]:
    """Those of eight failures and more, the most frequent first, each with its runs."""
    sizes = np.bincount(codes[codes >= 0], minlength=len(texts))
    order: list[int] = np.argsort(-sizes, kind="stable")[:_MOST].tolist()
    return [(texts[code], codes == code) for code in order if sizes[code] >= LEAST]


def described(
    runs: Table,
    texts: Sequence[str],
    codes: Ints,
    succeeded: Bools,
    new_since: str | int | None = None,
) -> list[Fingerprint]:
    """Each fingerprint, the most frequent first."""
    asked_ns = _moment(runs, new_since)
    total = int((codes >= 0).sum())
    widths = _widths(runs)
    kinds = widths[0]
    unlikely = _SILENT / max(1, len(texts))
    found: list[Fingerprint] = []
    for code, told in enumerate(texts):
        rows = np.flatnonzero(codes == code)
        newest = int(rows[-1])
        around = _around(rows, kinds)
        found.append(
            Fingerprint(
                fingerprint=told,
                n=len(rows),
                share=len(rows) / total,
                stage=runs.column(names.STAGE).at(newest),
                error_code=runs.column(names.ERROR_CODE).at(newest),
                error_type=runs.column(names.ERROR_TYPE).at(newest),
                exemplars=tuple(runs.exemplar(int(row)) for row in rows[::-1][:_EXEMPLARS]),
                nearest_success=_nearest(runs, newest, widths, succeeded),
                first_seen_ns=int(runs.start_ns[rows[0]]),
                last_seen_ns=int(runs.start_ns[newest]),
                still_happening=around.chance(around.after) > unlikely
                if around.n >= _FEW
                else None,
                new_since=_asked(runs, rows, asked_ns, new_since)
                if new_since is not None
                else _new_since(runs, rows, kinds, around, unlikely)
                if around.n >= _FEW and around.chance(around.before) <= unlikely
                else None,
            )
        )
    return sorted(found, key=lambda each: -each.n)


def nearest(runs: Table, failed: Bools, succeeded: Bools) -> tuple[Bools, int]:
    """The successes of the same kind just before and just after each failure.

    Of a kind without any, those of the wider kind, and at last of all; for how many that was.
    """
    found = np.zeros(len(runs), dtype=bool)
    left, wider = failed, 0
    for place, kinds in enumerate(_widths(runs)):
        for kind in np.unique(kinds[left]):
            good = np.flatnonzero(succeeded & (kinds == kind))
            if len(good):
                mine = left & (kinds == kind)
                at = np.searchsorted(good, np.flatnonzero(mine))
                found[good[np.maximum(at - 1, 0)]] = True
                found[good[np.minimum(at, len(good) - 1)]] = True
                left = left & ~mine
                wider += int(mine.sum()) if place else 0
    return found, wider


def _widths(runs: Table) -> list[Ints]:
    """The kinds, the wider kinds, and last all runs as one."""
    parts = [runs.column(name).codes for name in KIND]
    return [combined(parts[:width], len(runs)) for width in range(len(parts), -1, -1)]


@dataclass(frozen=True)
class _Around:
    """Failures among the runs of their kinds: how many, and how many runs lie between the first and
    the last, before the first, and after the last."""

    n: int
    between: int
    before: int
    after: int

    def chance(self, silent: int) -> float:
        """That so many runs at one end have none, by chance.

        The failure at the other end is given; the others lie anywhere, any run as likely.
        """
        return float((self.between / (self.between + silent)) ** (self.n - 1))


def _around(rows: Ints, kinds: Ints) -> _Around:
    its = np.flatnonzero(np.isin(kinds, np.unique(kinds[rows])))
    between = int(((its >= rows[0]) & (its <= rows[-1])).sum())
    before, after = int((its < rows[0]).sum()), int((its > rows[-1]).sum())
    return _Around(len(rows), between, before, after)


def _moment(runs: Table, since: str | int | None) -> int | None:
    """When that was: of a version, when its first run started."""
    if not isinstance(since, str):
        return since
    rows = np.flatnonzero(runs.column(names.CODE_VERSION).is_(since))
    return int(runs.start_ns[rows[0]]) if len(rows) else None


def _asked(runs: Table, rows: Ints, asked_ns: int | None, since: str | int | None) -> str | None:
    """What was asked for, where the first failure came no earlier."""
    first_ns = int(runs.start_ns[rows[0]])
    if asked_ns is None or first_ns < asked_ns or int(runs.start_ns[0]) >= asked_ns:
        return None
    return since if isinstance(since, str) else _iso(asked_ns)


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_since(runs: Table, rows: Ints, kinds: Ints, around: _Around, unlikely: float) -> str:
    """The version that it came with, else the moment that it was first seen."""
    versions = runs.column(names.CODE_VERSION)
    mine = versions.codes[rows]
    if (mine >= 0).all():
        starts = {int(c): int(np.flatnonzero(versions.codes == c)[0]) for c in np.unique(mine)}
        version, first = min(starts.items(), key=lambda item: item[1])
        its = np.isin(kinds, np.unique(kinds[rows]))
        older = int((its[:first]).sum())
        since = int((its & (versions.codes == version))[first : rows[0]].sum())
        if around.chance(older) <= unlikely < around.chance(since):
            return versions.words[version]
    return _iso(int(runs.start_ns[rows[0]]))


def _nearest(
    runs: Table, row: int, widths: Sequence[Ints], succeeded: Bools
) -> NearestSuccess | None:
    for place, kinds in enumerate(widths):
        good = np.flatnonzero(succeeded & (kinds == kinds[row]))
        if len(good):
            apart = np.abs(runs.start_ns[good] - runs.start_ns[row])
            best = int(good[np.argmin(apart)])
            return NearestSuccess(
                str(runs.ids[best]), str(runs.traces[best]), float(apart.min()) / 1e9, place == 0
            )
    return None
