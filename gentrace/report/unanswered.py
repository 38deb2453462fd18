"""What to say of groups where nothing was found, or nothing could be asked."""

from __future__ import annotations

from collections.abc import Sequence

from gentrace.analysis.compare.model import GroupComparison


def nothing(found: GroupComparison) -> str:
    """What to say where there is no finding: that nothing was found, or could be asked at all."""
    if found.tested:
        return f"nothing found that chance does not explain (tested: {found.tested})"
    return f"nothing could be asked: {'; '.join(found.not_enough_data) or 'there is too little'}"


def short(found: GroupComparison) -> Sequence[str]:
    """What could not be asked, where :func:`nothing` does not say it already."""
    return found.not_enough_data if found.findings or found.tested else ()
