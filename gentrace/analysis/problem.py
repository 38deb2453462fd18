"""One thing that doctor found to mend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to mend.

    Attributes:
        code: a stable word for programs.
        fix: what to do.
        serious: it is no mere remark; the command then leaves with exit code 1.
    """

    code: str
    summary: str
    fix: str
    serious: bool = True
