"""The mix: attributes whose shares changed from one group to another, as far as that made a
difference to how long runs take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gentrace.analysis.compare import candidates, chances, drift, effects, scores
from gentrace.analysis.compare.model import Finding
from gentrace.analysis.compare.scores import ALPHA, LEAST, holm
from gentrace.analysis.compare.strata import beside, centres, combined, kinds
from gentrace.analysis.compare.table import KIND, Bools, Column, Floats, Ints, Table

_MATTERS = 0.05  # of log seconds: a change of shares that moves durations by less is none


def mixes(
    runs: Table,
    a: Bools,
    b: Bools,
    tested: int,
    before: int = 0,
    known: Sequence[Bools | Ints] = (),
) -> list[Finding]:
    """One finding for each attribute whose shares changed by themselves, the weightiest first.

    Args:
        tested: over how many hypotheses to correct; ``before``: how many findings there are.
        known: causes that were found otherwise, to be accounted for.
    """
    here = runs.chosen(a | b)
    in_a = a[np.flatnonzero(a | b)]
    masks = [mask[np.flatnonzero(a | b)] for mask in known]
    given = combined(masks, len(here))
    found: list[Finding] = []
    taken: set[str] = set()
    while len(found) < 2:
        best: tuple[float, str, float] | None = None
        for name, column in candidates.columns(here, candidates.causes(here, kind_too=True)):
            if not isinstance(column, Column) or name in taken:
                continue
            # Both must hold: the shares changed, and runs of other values take longer.
            log_p = max(_changed(column, in_a, given), _told_apart(here, name, column, in_a, given))
            if holm(float(np.exp(log_p)), tested, before + len(found)) > ALPHA:
                continue
            weight = abs(_weight(here, name, column, in_a))
            if weight < _MATTERS or (best is not None and weight <= best[0] * 1.05):
                continue
            if name not in KIND and _drifts(here, name, column, in_a):
                continue
            best = (weight, name, log_p)
        if best is None:
            break
        _, name, log_p = best
        taken.add(name)
        p = holm(float(np.exp(log_p)), tested, before + len(found))
        finding = _finding(here, name, in_a, p)
        given = combined([given, here.column(name).codes], len(here))
        found.append(finding)
    return found


def _changed(column: Column, in_a: Bools, given: Ints) -> float:
    """Log p of the shares being the same, within what is accounted for."""
    if len(np.unique(given)) == 1:
        cells = np.array([np.bincount(column.codes[side] + 1, minlength=len(column.words) + 1)
                          for side in (in_a, ~in_a)])  # fmt: skip
        cells = _merged(cells)
        if cells.shape[1] < 2:
            return 0.0
        return chances.log_chi_square(cells)
    return _strongest(scores.words(scores.scored(in_a.astype(np.float64), given), column))


def _told_apart(here: Table, name: str, column: Column, in_a: Bools, given: Ints) -> float:
    """Log p of all values taking as long as each other, within the groups and what is known."""
    others = kinds(here, beside(name))
    within = combined([others, in_a, given], len(here))
    ranks = scores.slowness(here.seconds, here.ended, within)
    return _strongest(scores.words(scores.scored(ranks, within), column))


def _strongest(tested: scores.Tested) -> float:
    if not tested.enough.any():
        return 0.0
    z = float(np.abs(tested.z[tested.enough]).max())
    return min(0.0, chances.log_normal_tail(z) + float(np.log(2 * int(tested.enough.sum()))))


def _merged(cells: Ints) -> Ints:
    """Values that are too rare for chi-square together as one."""
    rare = cells.sum(axis=0) < 2 * LEAST
    kept = cells[:, ~rare]
    rest = cells[:, rare].sum(axis=1, keepdims=True)
    return np.hstack([kept, rest]) if rest.sum() >= 2 * LEAST else kept


def _weight(here: Table, name: str, column: Column, in_a: Bools) -> float:
    """By how much the change of shares alone moves the mean of the log durations.

    Something new is a change of what was asked; of anything else (a version, a machine) only what
    both groups have has shares that change.
    """
    logs = np.log(np.maximum(here.seconds, 1e-3))
    if name not in KIND:
        everything = np.ones(len(here), dtype=bool)
        logs = logs - centres(logs, kinds(here), everything)
    codes = column.codes + 1
    ours, theirs = _shares(codes, in_a), _shares(codes, ~in_a)
    change = ours - theirs
    if name not in KIND:
        in_both = np.minimum(ours * in_a.sum(), theirs * (~in_a).sum()) >= LEAST
        change = np.where(in_both, change, 0.0)
    return float((change * _levels(codes, logs)).sum())


def _shares(codes: Ints, rows: Bools) -> Floats:
    return np.bincount(codes[rows], minlength=int(codes.max()) + 1) / max(1, int(rows.sum()))


def _levels(codes: Ints, logs: Floats) -> Floats:
    counts = np.bincount(codes)
    return np.bincount(codes, logs) / np.maximum(counts, 1)


def _drifts(here: Table, name: str, column: Column, in_a: Bools) -> bool:
    """Whether a value came or went for good, and runs take longer then as they do now and then."""
    mask = column.is_(_grown(column, in_a))
    if not drift.is_stretch(mask):
        return False
    strata = kinds(here, beside(name))
    return effects.moved(here, mask, ~mask, strata) is None or drift.drifts(here, mask, strata)


def _grown(column: Column, in_a: Bools) -> str:
    """The value whose share grew the most."""
    change = _shares(column.codes + 1, in_a) - _shares(column.codes + 1, ~in_a)
    return column.words[int(np.argmax(change[1:])) if len(change) > 1 else 0]


def _finding(here: Table, name: str, in_a: Bools, p_adjusted: float) -> Finding:
    """Named by the value whose share grew the most."""
    column = here.column(name)
    return changed(here, name, _grown(column, in_a), in_a, ~in_a, p_adjusted)


def changed(
    runs: Table,
    name: str,
    value: str,
    a: Bools,
    b: Bools,
    p_adjusted: float,
    also: tuple[str, ...] = (),
) -> Finding:
    """The change of a value's share from the one group to the other."""
    hits = runs.column(name).is_(value)
    one = np.zeros(len(runs), dtype=np.int64)
    effect, interval = effects.share_difference(hits, a, b, one)
    return Finding(
        kind="mix",
        name=name,
        value=value,
        time=None,
        effect=effect,
        interval=interval,
        p_adjusted=p_adjusted,
        exemplars=effects.exemplars(runs, hits & a, runs.seconds),
        unit="share",
        n=int((hits & (a | b)).sum()),
        also=also,
    )
