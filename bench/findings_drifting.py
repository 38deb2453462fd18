"""The same question as bench.findings, of a service whose load and providers drift.

    python -m bench.findings_drifting [--seeds 100 200] [--only TEXT] [--show]

The runs are those of tests/support/drifting.py, read from their spans as a source gives them. The
columns are those of bench.findings; `--show` names the first findings where they were others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.planted_cases import Case, Truth, tell
from gentrace.analysis.compare.failing import failing
from gentrace.analysis.compare.model import RunRow
from gentrace.analysis.compare.slow import slow
from tests.support.drifting_causes import FAILING, SLOW, Plan, planted
from tests.support.drifting_spans import rows


def cases() -> list[Case]:
    """What is planted in tests/support/drifting_causes.py."""
    asked = ((slow, SLOW), (failing, FAILING))
    return [
        Case(question, name, _made(name, each))
        for question, all_ in asked
        for name, each in all_.items()
    ]


def _made(name: str, plan: Plan) -> Callable[[int], tuple[Sequence[RunRow], Truth]]:
    def make(seed: int) -> tuple[Sequence[RunRow], Truth]:
        found = planted(name, plan, seed)
        return rows(found.traces), [found.named] if found.named else []

    return make


if __name__ == "__main__":
    tell("bench.findings_drifting", __doc__, {"tests/support/drifting.py": cases()}, None)
