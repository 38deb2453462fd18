"""Planted runs put to the group questions: what the programs of this kind share.

Each answer is judged twice: as the question gives it, and as a plain ranking by shares would
(``by_shares.py``), so that both are told of the very same runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import by_shares
from bench.measuring import machine, table
from gentrace.analysis.compare.model import GroupComparison, RunRow
from gentrace.analysis.compare.table import Table
from gentrace.analysis.compare.table import table as columns
from gentrace.report import group_json

Named = tuple[str, str, str | None]
"""Kind, name and value of a finding; the value None stands for any."""
Truth = Sequence[frozenset[Named]]
"""The planted causes, each with the findings that name it; empty where nothing is planted."""
Question = Callable[[Table], GroupComparison]
HEAD = (
    "question", "planted", "found", "of", "findings, mean", "by shares", "above 10 points",
    "missed seeds",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One thing to plant, and the question that should find it.

    Attributes:
        made: the runs of a seed, and what was planted in them.
    """

    question: Question
    name: str
    made: Callable[[int], tuple[Sequence[RunRow], Truth]]


@dataclass
class Score:
    """How one case went.

    Attributes:
        missed: the seeds where the cause was not the first finding, or something was found where
            there is nothing.
        ranked: how often the plain ranking has the cause first, without a bound and with one.
    """

    missed: list[int] = field(default_factory=list[int])
    counts: list[int] = field(default_factory=list[int])
    ranked: list[int] = field(default_factory=lambda: [0, 0])


def right(told: Sequence[Named], truth: Truth) -> bool:
    """Whether the first of what was told are the causes; with none planted, nothing was told."""
    if not truth:
        return not told
    first = told[: len(truth)]
    return len(first) == len(truth) and all(
        any(_is(each, named) for each in first for named in cause) for cause in truth
    )


def _is(told: Named, named: Named) -> bool:
    return told[:2] == named[:2] and named[2] in (None, told[2])


def score(case: Case, seeds: Sequence[int], show: bool = False) -> Score:
    """Asks for each seed; with ``show`` prints the first findings where they are others."""
    found = Score()
    for seed in seeds:
        made, truth = case.made(seed)
        runs = columns(made)
        findings = group_json.as_object(case.question(runs))["findings"]
        told = [(each["kind"], each["name"], each["value"]) for each in findings]
        found.counts.append(len(told))
        for place, least in enumerate((0.0, by_shares.BOUND)):
            guesses = by_shares.guesses(runs, case.question.__name__, least)
            found.ranked[place] += _by_shares(guesses, truth)
        if not right(told, truth):
            found.missed.append(seed)
            if show:
                _show(case, seed, truth, findings)
    return found


def _by_shares(guesses: Sequence[Sequence[tuple[str, str]]], truth: Truth) -> bool:
    """Whether one of the rankings has the causes first, or none names anything; kinds are not
    asked of it, as it knows none but attributes."""
    plain = [frozenset(("", n, v) for k, n, v in cause if k != "time") for cause in truth]
    judged = [right([("", *pair) for pair in guess], plain) for guess in guesses]
    return any(judged) if truth else all(judged)


def _show(case: Case, seed: int, truth: Truth, findings: Sequence[Mapping[str, Any]]) -> None:
    shown = [
        f"{f['kind']} {f['name']}={f['value']} ({f['time']}) {f['effect'] or 0:.2f} {f['unit']}, "
        f"p {f['p_adjusted']:.1g}, {' beside '.join(f['comparison'])}"
        for f in findings[:4]
    ]
    planted = [" or ".join(f"{k} {n}={v}" for k, n, v in sorted(cause, key=str)) for cause in truth]
    print(case.name, seed, "planted: " + ("; ".join(planted) or "nothing"), *shown, sep="\n    ")


def tell(
    program: str, doc: str | None, sets: Mapping[str, Sequence[Case]], argv: Sequence[str] | None
) -> None:
    """Reads the options and prints one table for each set of cases.

    Args:
        sets: the cases by the name of the runs that they are planted in.
        argv: the options; None takes the command's.
    """
    parser = argparse.ArgumentParser(
        prog=program, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs=2, type=int, default=[100, 200], metavar=("FROM", "TO"))
    parser.add_argument("--only", default="", help="cases whose name has this text")
    parser.add_argument("--show", action="store_true", help="name what was found instead")
    options = parser.parse_args(argv)
    seeds = range(*options.seeds)
    print(machine(), flush=True)
    for runs, cases in sets.items():
        rows: list[Sequence[str]] = []
        for case in cases:
            if options.only in case.name:
                rows.append(_row(case, score(case, seeds, options.show), len(seeds)))
        print(f"\n### {runs}, seeds {seeds.start} to {seeds.stop - 1}\n", flush=True)
        print(table(HEAD, rows), flush=True)


def _row(case: Case, found: Score, of: int) -> Sequence[str]:
    return (
        case.question.__name__, case.name, str(of - len(found.missed)), str(of),
        f"{sum(found.counts) / max(of, 1):.2f}", *map(str, found.ranked),
        " ".join(map(str, found.missed[:10])),
    )  # fmt: skip
