"""Failures that look alike: how many, how far they got, since when and whether they still come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from gentrace.analysis.compare.model import Fingerprint, NearestSuccess
from gentrace.analysis.compare.strata import combined
from gentrace.analysis.compare.table import KIND, Bools, Ints, Table
from gentrace.core import names

PARTS = (names.ERROR_CODE, names.ERROR_TYPE, names.STAGE)
_OVER, _NEW = 0.05, 0.005
"""Runs without a failure are taken for its end, or for a time before it, where at its rate they
would have come about by chance less often than that."""
_EXEMPLARS = 5


def fingerprints(runs: Table, failed: Bools) -> tuple[list[str], Ints]:
    """The texts, and for each run the number of its own (-1: it has not failed)."""
    codes = np.full(len(runs), -1, dtype=np.int64)
    rows = np.flatnonzero(failed)
    if not len(rows):
        return [], codes
    parts = [runs.column(name) for name in PARTS]
    alike = combined([part.codes[rows] for part in parts], len(rows))
    _, first = np.unique(alike, return_index=True)
    texts = [text(*(part.at(int(rows[row])) for part in parts)) for row in first]
    codes[rows] = alike
    return texts, codes


def text(code: str | None, kind: str | None, stage: str | None) -> str:
    """One line, with what is known: ``content_filtered ProviderError at provider``."""
    short = kind.rpartition(".")[2] if kind and kind != names.FAILED else None
    told = " ".join(dict.fromkeys(part for part in (code, short) if part)) or "failed"
    return f"{told} at {stage}" if stage else told


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
    kinds = combined([runs.column(name).codes for name in KIND], len(runs))
    found: list[Fingerprint] = []
    for code, told in enumerate(texts):
        rows = np.flatnonzero(codes == code)
        newest = int(rows[-1])
        before, after, rate = _around(rows, kinds)
        found.append(
            Fingerprint(
                fingerprint=told,
                n=len(rows),
                share=len(rows) / total,
                stage=runs.column(names.STAGE).at(newest),
                error_code=runs.column(names.ERROR_CODE).at(newest),
                error_type=runs.column(names.ERROR_TYPE).at(newest),
                exemplars=tuple(runs.exemplar(int(row)) for row in rows[::-1][:_EXEMPLARS]),
                nearest_success=_nearest(runs, newest, kinds, succeeded),
                first_seen_ns=int(runs.start_ns[rows[0]]),
                last_seen_ns=int(runs.start_ns[newest]),
                still_happening=(1 - rate) ** after > _OVER,
                new_since=_asked(runs, rows, asked_ns, new_since)
                if new_since is not None
                else _new_since(runs, rows, kinds, rate)
                if (1 - rate) ** before <= _NEW
                else None,
            )
        )
    return sorted(found, key=lambda each: -each.n)


def nearest(runs: Table, failed: Bools, succeeded: Bools) -> Bools:
    """The successes of the same kind just before and just after each failure."""
    kinds = combined([runs.column(name).codes for name in KIND], len(runs))
    found = np.zeros(len(runs), dtype=bool)
    for kind in np.unique(kinds[failed]):
        good = np.flatnonzero(succeeded & (kinds == kind))
        if len(good):
            at = np.searchsorted(good, np.flatnonzero(failed & (kinds == kind)))
            found[good[np.maximum(at - 1, 0)]] = True
            found[good[np.minimum(at, len(good) - 1)]] = True
    return found


def _around(rows: Ints, kinds: Ints) -> tuple[int, int, float]:
    """Runs of its kinds before its first and after its last failure, and its rate between."""
    its = np.flatnonzero(np.isin(kinds, np.unique(kinds[rows])))
    between = int(((its >= rows[0]) & (its <= rows[-1])).sum())
    before, after = int((its < rows[0]).sum()), int((its > rows[-1]).sum())
    return before, after, len(rows) / (between + 1)


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


def _new_since(runs: Table, rows: Ints, kinds: Ints, rate: float) -> str:
    """The version that it came with, else the moment that it was first seen."""
    versions = runs.column(names.CODE_VERSION)
    mine = versions.codes[rows]
    if (mine >= 0).all():
        starts = {int(c): int(np.flatnonzero(versions.codes == c)[0]) for c in np.unique(mine)}
        version, first = min(starts.items(), key=lambda item: item[1])
        its = np.isin(kinds, np.unique(kinds[rows]))
        older = int((its[:first]).sum())
        since = int((its & (versions.codes == version))[first : rows[0]].sum())
        if (1 - rate) ** older <= _OVER < (1 - rate) ** since:
            return versions.words[version]
    return _iso(int(runs.start_ns[rows[0]]))


def _nearest(runs: Table, row: int, kinds: Ints, succeeded: Bools) -> NearestSuccess | None:
    good = np.flatnonzero(succeeded & (kinds == kinds[row]))
    if not len(good):
        return None
    apart = np.abs(runs.start_ns[good] - runs.start_ns[row])
    best = int(good[np.argmin(apart)])
    return NearestSuccess(str(runs.ids[best]), str(runs.traces[best]), float(apart.min()) / 1e9)
