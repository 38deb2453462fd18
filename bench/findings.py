"""Whether the group questions find what was planted, scenario by scenario.

    python -m bench.findings [--seeds 100 200] [--generations 400]

`found`: the cause is the first finding (of two causes: both are the first two); with nothing
planted: no finding at all. What was tuned was tuned on the seeds 0 to 99.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np

from bench.measuring import machine, table
from gentrace.analysis.compare import table as columns
from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.model import GroupComparison
from gentrace.analysis.compare.slow import slow
from tests.analysis.compare.planted import FAILING, SLOW, Draw, planted, right


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="bench.findings", description=__doc__)
    parser.add_argument("--seeds", nargs=2, type=int, default=[100, 200], metavar=("FROM", "TO"))
    parser.add_argument("--generations", type=int, default=400)
    options = parser.parse_args()
    print(machine())
    seeds = range(*options.seeds)
    rows: list[Sequence[str]] = []
    for question, scenarios in ((slow, SLOW), (failing, FAILING)):
        for name, scenario in scenarios.items():
            rows.append(_row(question, name, scenario, seeds, options.generations))
    print(table(("question", "planted", "found", "of", "findings, mean", "missed seeds"), rows))


def _row(
    question: Callable[[columns.Table], GroupComparison],
    name: str,
    scenario: Callable[[Draw], None],
    seeds: range,
    generations: int,
) -> Sequence[str]:
    missed: list[int] = []
    counts: list[int] = []
    for seed in seeds:
        runs, truth = planted(scenario, seed, generations)
        findings = question(columns.table(runs)).findings
        counts.append(len(findings))
        if not right(findings, truth):
            missed.append(seed)
    found = str(len(seeds) - len(missed))
    shown = " ".join(str(seed) for seed in missed[:10])
    return question.__name__, name, found, str(len(seeds)), f"{np.mean(counts):.2f}", shown


if __name__ == "__main__":
    main()
