"""Whether the group questions find what was planted, scenario by scenario.

    python -m bench.findings [--seeds 100 200] [--only TEXT] [--show]

`found`: the cause is the first finding (of two causes: both are the first two); with nothing
planted: no finding at all. `by shares` and `above 10 points` are the same of a plain ranking by
difference of shares (bench/by_shares.py), without a bound and with one. Three sets of runs, which
share nothing: tests/analysis/compare/planted.py, tests/support/outside.py and
tests/support/drifting.py; bench.findings_outside and bench.findings_drifting ask one of them. What
was tuned was tuned on the seeds 0 to 99.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench import findings_drifting, findings_outside
from bench.planted_cases import Case, Named, Question, Truth, tell
from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.model import RunRow
from gentrace.analysis.compare.slow import slow
from tests.analysis.compare.planted import FAILING, SLOW, Draw, planted


def cases() -> list[Case]:
    """The scenarios of tests/analysis/compare/planted.py."""
    asked: tuple[tuple[Question, dict[str, Callable[[Draw], None]]], ...] = (
        (slow, SLOW),
        (failing, FAILING),
    )
    return [
        Case(question, name, _made(each)) for question, all_ in asked for name, each in all_.items()
    ]


def _made(scenario: Callable[[Draw], None]) -> Callable[[int], tuple[Sequence[RunRow], Truth]]:
    def make(seed: int) -> tuple[Sequence[RunRow], Truth]:
        runs, truth = planted(scenario, seed)
        return runs, [frozenset({_named(*each)}) for each in truth]

    return make


def _named(kind: str, told: str) -> Named:
    name, _, value = told.partition("=")
    return kind, name, value or None


if __name__ == "__main__":
    tell(
        "bench.findings",
        __doc__,
        {
            "tests/analysis/compare/planted.py": cases(),
            "tests/support/outside.py": findings_outside.cases(),
            "tests/support/drifting.py": findings_drifting.cases(),
        },
        None,
    )
