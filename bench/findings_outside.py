"""The same question as bench.findings, asked as an outsider would, of tests/support/outside.py.

    python -m bench.findings_outside [--seeds 100 200] [--only TEXT] [--show]

The columns are those of bench.findings; `--show` names the first findings where they were others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.planted_cases import Case, Truth, tell
from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.model import RunRow
from gentrace.analysis.compare.slow import slow
from tests.support import outside_causes
from tests.support.outside import rows
from tests.support.outside_causes import FAILING, SLOW


def cases() -> list[Case]:
    """What is planted in tests/support/outside_causes.py."""
    asked = ((slow, SLOW), (failing, FAILING))
    return [
        Case(question, name, _made(each)) for question, all_ in asked for name, each in all_.items()
    ]


def _made(case: outside_causes.Case) -> Callable[[int], tuple[Sequence[RunRow], Truth]]:
    def make(seed: int) -> tuple[Sequence[RunRow], Truth]:
        made, truth = case(seed)
        named = [
            frozenset((kind, name, each[2]) for kind, name in outside_causes.spellings(each))
            for each in truth
        ]
        return rows(made), named

    return make


if __name__ == "__main__":
    tell("bench.findings_outside", __doc__, {"tests/support/outside.py": cases()}, None)
