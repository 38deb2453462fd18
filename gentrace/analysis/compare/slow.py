"""``slow``: what the runs that are slow for their kind have in common, and what changed lately."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gentrace.analysis.compare import durations, effects, separate, shift, strata, summary
from gentrace.analysis.compare.model import Finding, GroupComparison
from gentrace.analysis.compare.scores import LEAST
from gentrace.analysis.compare.search import Found, Search
from gentrace.analysis.compare.strata import Limits
from gentrace.analysis.compare.table import Bools, Table

SIDES, HALVES = ("slow", "rest"), ("newer", "older")


def slow(runs: Table) -> GroupComparison:
    """Two comparisons: the slow for their kind with the rest, and the newer half with the older."""
    limits = strata.p90(runs)
    mask = is_slow(runs, limits)
    newer = np.arange(len(runs)) >= len(runs) // 2
    groups = {
        "slow": summary.group("above the p90 of their kind", runs, mask),
        "rest": summary.group("the rest", runs, ~mask),
        "newer": summary.group("the newer half of the window", runs, newer),
        "older": summary.group("the older half of the window", runs, ~newer),
    }
    short: list[str] = []
    findings: list[Finding] = []
    symptoms: list[Finding] = []
    tested = 0
    outside = shift.tests(runs, newer, ~newer, ())
    search = Search(runs, mask, ranked=True)
    if len(runs) - mask.sum() < LEAST or mask.sum() < LEAST:
        short.append(
            f"slow for their kind: {mask.sum()} of {summary.counted(len(runs), 'run')}; "
            f"{LEAST} a side are needed"
        )
    # How long runs take beside each other is asked however few lie above a limit
    if len(runs) >= 2 * LEAST:
        findings = [finding(runs, mask, each) for each in search.run(outside)]
        symptoms = [finding(runs, mask, each) for each in search.symptoms]
        tested = search.tested
    if newer.sum() < LEAST or (~newer).sum() < LEAST:
        all_runs = summary.counted(len(runs), "run")
        short.append(f"newer and older half: {all_runs}; {LEAST} a side are needed")
    else:
        known = [each.candidate.parts for each in search.found]
        named = {each.name for each in findings}
        total = tested or outside
        apart = separate.separators(runs, newer, ~newer)
        changed = shift.shift(runs, newer, ~newer, total, known, only_slower=True, separators=apart)
        findings += [replace(each, comparison=HALVES) for each in changed if each.name not in named]
    return GroupComparison(
        question="slow",
        groups=groups,
        findings=[each for each in findings if _matters(runs, each)],
        times=summary.times(groups["slow"], groups["rest"]),
        not_enough_data=short,
        notes=_notes(runs, limits, mask),
        tested=0 if len(short) == 2 else tested or outside,
        symptoms=[each for each in symptoms if _matters(runs, each)],
    )


def is_slow(runs: Table, limits: Limits) -> Bools:
    """Above the p90 of their kind; a run that goes on is, once its age is."""
    return runs.seconds > limits.seconds


def _notes(runs: Table, limits: Limits, mask: Bools) -> list[str]:
    """Where so many runs go on that the p90 is not known: what counts as slow instead."""
    open_ = ~limits.reached
    if not open_.any():
        return []
    slow_ones = int((open_ & mask & ~runs.ended).sum())
    young = int((open_ & ~mask & ~runs.ended).sum())
    return [
        "more than a tenth of a kind goes on, so that its p90 is not known yet: "
        f"{slow_ones} of those runs are older than nearly all finished ones and count as slow, "
        f"{young} do not"
    ]


def finding(runs: Table, hits: Bools, found: Found) -> Finding:
    """In seconds where the median moved, else in how often its runs are slow."""
    candidate, within = found.candidate, found.strata
    inside, outside = effects.comparable(candidate.mask, candidate.parts == 0, within)
    effect, interval, at_least = durations.difference(runs, inside, outside, within)
    unit = "s"
    clear = effects.matters(effect, runs, outside) and interval[0] > 0
    if not clear and candidate.time:
        spent, known = runs.times[candidate.time], runs.ended
        effect, interval = effects.median_difference(spent, inside & known, outside & known, within)
    elif not clear:
        effect, interval = effects.share_difference(hits, inside, outside, within)
        unit = "share"
    time = candidate.name if candidate.kind == "time" else candidate.time
    return Finding(
        kind=candidate.kind,
        name=candidate.name,
        value=candidate.value,
        time=time or effects.moved(runs, inside, outside, within),
        effect=effect,
        interval=interval,
        p_adjusted=found.p_adjusted,
        exemplars=effects.exemplars(runs, candidate.mask, runs.seconds),
        unit=unit,
        n=int(candidate.mask.sum()),
        also=found.also,
        window=candidate.window,
        comparison=SIDES,
        at_least=at_least and clear,
    )


def _matters(runs: Table, found: Finding) -> bool:
    if found.unit == "share":
        return found.kind == "mix" or found.interval[0] > 0.02
    return effects.matters(found.effect, runs, np.ones(len(runs), dtype=bool))
