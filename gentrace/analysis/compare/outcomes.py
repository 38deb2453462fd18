"""Which failures are more frequent in one group than in another, and what they have in common
where the outcome itself is what makes the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gentrace.analysis.compare import chances, effects, fingerprints, scores
from gentrace.analysis.compare.model import Exemplar, Finding
from gentrace.analysis.compare.scores import ALPHA, EXACT_RUNS, EXACT_UNDER, LEAST, holm
from gentrace.analysis.compare.search import Found, Search
from gentrace.analysis.compare.strata import comparable
from gentrace.analysis.compare.table import Bools, Ints, Table
from gentrace.core import names

BY_OUTCOME = frozenset({names.OUTCOME, *names.ERROR_FACTS, names.STAGE})
"""Groups by one of these are groups by how runs ended: no failure rates to compare."""
ANY = "any failure"
_MATTERS = 0.02


def asked(runs: Table, a: Bools, b: Bools) -> list[tuple[str, Bools]]:
    """The failures whose rates are compared: each frequent fingerprint, and all together."""
    failed = (a | b) & runs.outcome.is_(names.FAILED)
    if failed.sum() < LEAST:
        return []
    texts, codes = fingerprints.fingerprints(runs, failed)
    found = fingerprints.frequent(texts, codes)
    return found if len(texts) == 1 else [*found, (ANY, failed)]


def rates(
    runs: Table,
    a: Bools,
    b: Bools,
    strata: Ints,
    questions: Sequence[tuple[str, Bools]],
    tested: int,
    also: tuple[str, ...] = (),
) -> list[Finding]:
    """One finding for each failure that is more frequent on one side, the surest first.

    Of the runs that failed or were completed, within strata; the others tell nothing yet.

    Args:
        also: what else the first group's runs carry and the second's do not.
    """
    known = runs.outcome.is_(names.FAILED) | runs.outcome.is_(names.COMPLETED)
    inside, outside = comparable(a & known, b & known, strata)
    if inside.sum() < LEAST or outside.sum() < LEAST:
        return []
    found: list[Finding] = []
    for text, hits in questions:
        p = holm(_p(hits, inside, outside, strata), tested)
        if p > ALPHA:
            continue
        effect, interval = effects.share_difference(hits, inside, outside, strata)
        if abs(effect) < _MATTERS:
            continue
        newest = _newest(runs, hits & (a if effect > 0 else b))
        told = Finding("error", "fingerprint", text, None, effect, interval, p, newest, "share")
        n, alike = int((hits & (a | b)).sum()), None if text == ANY else text
        found.append(replace(told, n=n, also=also, fingerprint=alike))
    of_one = [each for each in found if each.value != ANY]
    return sorted(of_one or found, key=lambda each: each.p_adjusted)


def carried(runs: Table, a: Bools, b: Bools, outside: int) -> tuple[list[Finding], int]:
    """What values groups by outcome carry more often than chance gives, and how much was tested.

    Args:
        outside: how many hypotheses are tested beside these.
    """
    failed = runs.outcome.is_(names.FAILED)
    turned = bool(failed[b].all() and not failed[a].any())  # they are asked of the failures
    both = a | b
    here, hits = runs.chosen(both), (b if turned else a)[both]
    search = Search(here, hits, ranked=False, kind_too=True)
    found = search.run(outside)
    sides = ("b", "a") if turned else ("a", "b")
    told = [finding(here, hits, each, sides) for each in found if each.candidate.value is not None]
    return told, search.tested


def finding(
    runs: Table, hits: Bools, found: Found, sides: tuple[str, str], alike: str | None = None
) -> Finding:
    """What was found about runs of one outcome: how much more frequent that is with it.

    Args:
        sides: the names of the groups that are compared.
        alike: the fingerprint that ``hits`` have, where that is what was asked.
    """
    candidate = found.candidate
    inside = candidate.mask
    effect, interval = effects.share_difference(hits, inside, ~inside, found.strata)
    error = candidate.kind == "error"
    return Finding(
        kind=candidate.kind,
        name="fingerprint" if error else candidate.name,
        value=(alike or ANY) if error else candidate.value,
        time=None,
        effect=effect,
        interval=interval,
        p_adjusted=found.p_adjusted,
        exemplars=_newest(runs, inside & hits),
        unit="share",
        n=int(inside.sum()),
        also=found.also,
        window=candidate.window,
        fingerprint=alike,
        comparison=sides,
    )


def _p(hits: Bools, inside: Bools, outside: Bools, strata: Ints) -> float:
    """Two-sided: exactly where failures are few, else by the normal approximation."""
    rows = inside | outside
    hits, inside, strata = hits[rows], inside[rows], strata[rows]
    expected = float(hits.mean()) * float(min(inside.sum(), (~inside).sum()))
    if expected < EXACT_UNDER and len(hits) <= EXACT_RUNS:
        more, fewer = (scores.exact_over(hits, mask, strata) for mask in (inside, ~inside))
        return min(1.0, 2 * min(more, fewer))
    tested = scores.groups(scores.scored(hits.astype(np.float64), strata), [inside])
    return chances.two_sided(float(tested.z[0]))


def _newest(runs: Table, rows: Bools) -> tuple[Exemplar, ...]:
    return effects.exemplars(runs, rows, runs.start_ns.astype(np.float64))
