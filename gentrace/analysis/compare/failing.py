"""``failing``: the failures beside successes of their kind, and which of them look alike."""

from __future__ import annotations

from dataclasses import replace

from gentrace.analysis.compare import fingerprints, outcomes, summary
from gentrace.analysis.compare.model import Finding, GroupComparison
from gentrace.analysis.compare.scores import LEAST
from gentrace.analysis.compare.search import Search
from gentrace.analysis.compare.table import Bools, Ints, Table
from gentrace.core import names

_SIDES = ("failed", "succeeded")


def failing(runs: Table, new_since: str | int | None = None) -> GroupComparison:
    """What failures have in common that the successes around them have not.

    Args:
        new_since: a moment (Unix ns) or a version of the code, before which a fingerprint must not
            have been seen to be called new; by default the runs tell whether it is.
    """
    failed = runs.outcome.is_(names.FAILED)
    succeeded = runs.outcome.is_(names.COMPLETED)
    near, wider = fingerprints.nearest(runs, failed, succeeded)
    groups = {
        "failed": summary.group("failed", runs, failed),
        "nearest": summary.group("the nearest successes of their kind", runs, near),
        "succeeded": summary.group("all successes", runs, succeeded),
    }
    texts, codes = fingerprints.fingerprints(runs, failed)
    short: list[str] = []
    findings: list[Finding] = []
    symptoms: list[Finding] = []
    tested = 0
    if failed.sum() < LEAST or succeeded.sum() < LEAST:
        short.append(
            f"{summary.counted(int(failed.sum()), 'failure')} and "
            f"{_successes(int(succeeded.sum()))}; {LEAST} of each are needed"
        )
    else:
        findings, symptoms, tested = _findings(runs, texts, codes, failed, succeeded)
    others = len(runs) - int(failed.sum()) - int(succeeded.sum())
    notes: list[str] = []
    if others:
        notes.append(_neither(others))
    if wider and near.any():
        notes.append(
            f"{wider} failures are of a kind without a success: the nearest successes of a wider "
            "kind stand beside them"
        )
    return GroupComparison(
        question="failing",
        groups=groups,
        findings=findings,
        times=summary.times(groups["failed"], groups["nearest"]),
        not_enough_data=short,
        notes=notes,
        fingerprints=fingerprints.described(runs, texts, codes, succeeded, new_since),
        tested=tested,
        symptoms=symptoms,
    )


def _successes(n: int) -> str:
    return "1 success" if n == 1 else f"{n} successes"


def _neither(n: int) -> str:
    if n == 1:
        return "1 run was cancelled or goes on still, and counts as neither"
    return f"{n} runs were cancelled or go on still, and count as neither"


def _findings(
    runs: Table, texts: list[str], codes: Ints, failed: Bools, succeeded: Bools
) -> tuple[list[Finding], list[Finding], int]:
    """Of all failures, and of each frequent fingerprint; a cause of several counts once.
    Then what became of them, likewise, and how much was tested.

    Each of these is corrected for all, in shares by the root of how many failures it has: of five
    one learns little, and they do not take as much from the others as fifty would.
    """
    asked: list[tuple[str | None, Bools]] = [*fingerprints.frequent(texts, codes)]
    if len(texts) > 1 or not asked:
        asked.append((None, failed))
    searches: list[tuple[str | None, Table, Bools, Search]] = []
    for told, hits in asked:
        kept = hits | succeeded
        here, mask = runs.chosen(kept), hits[kept]
        searches.append((told, here, mask, Search(here, mask, ranked=False, kind_too=True)))
    counts = [search.count() for *_, search in searches]
    causes: list[tuple[float, Finding]] = []
    symptoms: list[tuple[float, Finding]] = []
    roots = [float(mask.sum()) ** 0.5 for _, _, mask, _ in searches]
    for (told, here, mask, search), own, root in zip(searches, counts, roots, strict=True):
        search.run(round(own * (sum(roots) / root - 1)) if root else 0)
        for into, found in ((causes, search.found), (symptoms, search.symptoms)):
            for each in found:
                finding = outcomes.finding(here, mask, each, _SIDES, told)
                into.append((each.candidate.log_p, finding))
    told = _once(causes)
    return _named_once([*told, *_errors(told)]), _once(symptoms), sum(counts)


def _once(found: list[tuple[float, Finding]]) -> list[Finding]:
    """The strongest first; of one value's findings only that."""
    return _named_once([each for _, each in sorted(found, key=lambda pair: pair[0])])


def _named_once(found: list[Finding]) -> list[Finding]:
    kept: dict[tuple[str, str | None], Finding] = {}
    for each in found:
        kept.setdefault((each.name, each.value), each)
    return [*kept.values()]


def _errors(found: list[Finding]) -> list[Finding]:
    """The failures that an attribute was found for, as findings of their own after the causes."""
    return [
        replace(
            each,
            kind="error",
            name="fingerprint",
            value=each.fingerprint,
            also=(f"{each.name}={each.value}", *each.also),
        )
        for each in found
        if each.kind == "attribute" and each.fingerprint is not None
    ]
