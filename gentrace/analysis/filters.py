"""What `list` is asked for: a moment to look back to, and conditions on runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase

from gentrace.analysis import ids
from gentrace.analysis.runs import Run
from gentrace.core import names
from gentrace.core.errors import UsageError
from gentrace.sources.base import ALWAYS, Window

SHORT = {
    "operation": names.OPERATION,
    "provider": names.PROVIDER,
    "model": names.MODEL,
    "account": names.ACCOUNT_ID,
    "user": names.USER_ID,
    "outcome": names.OUTCOME,
    "error": names.ERROR_CODE,
    "stage": names.STAGE,
    "version": names.CODE_VERSION,
    "dedup": names.DEDUP_RESULT,
    "cache": names.CACHE_RESULT,
    "process": names.PROCESSES,
}
"""What a condition may say in place of an attribute's whole name."""
UNFINISHED, REFUSED, RETURNED, NO_RUN = "unfinished", "refused", "returned", "no run"
NO_OUTCOMES = frozenset({UNFINISHED, REFUSED, RETURNED, NO_RUN})
"""Ends of which no span carries the word."""
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def moment_ns(text: str, now_ns: int | None = None, option: str = "--since") -> int:
    """Unix ns of a moment: ago (30m, 2h, 1d) or ISO-8601 (local time where it names no zone).

    Args:
        option: what the user gave it to.

    Raises:
        UsageError: it is neither.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    ago = _AGO.fullmatch(text.strip().lower())
    if ago:
        return max(0, now_ns - int(float(ago[1]) * _UNITS_S[ago[2]] * 1e9))
    try:
        at = datetime.fromisoformat(text.strip())
        return max(0, round(at.astimezone(UTC).timestamp() * 1e6) * 1_000)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option} {text!r}: give a time ago (30m, 2h, 1d) or a date and time such as "
            "2026-07-02 or 2026-07-02T14:30"
        ) from None


def window(since: str = "", until: str = "") -> Window:
    """The window that two options tell; an empty text is no bound.

    Raises:
        UsageError: one is no moment, or it ends before it begins.
    """
    found = Window(
        moment_ns(since) if since else 0, moment_ns(until, option="--until") if until else 0
    )
    if found.until_ns and found.since_ns > found.until_ns:
        raise UsageError(f"since {since} is after until {until}: no run starts in between")
    return found


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a run; an empty one lets every run pass.

    Attributes:
        window: when a run may have started.
        outcomes: any of them, as :func:`outcome` has it.
        error: pattern (``*`` allowed) for the error's code, type or last part of the type.
        where: attribute name and value; each must hold on some span or resource of the run.
        ids: any of them, whole or the beginnings of long ones.
    """

    window: Window = ALWAYS
    outcomes: Sequence[str] = ()
    provider: str = ""
    model: str = ""
    operation: str = ""
    account: str = ""
    user: str = ""
    error: str = ""
    where: Sequence[tuple[str, str]] = ()
    ids: Sequence[str] = ()

    def is_asked(self, id_: str | None) -> bool:
        """Whether the id is one of those that were asked for."""
        return id_ is not None and any(
            id_ in ids.spellings(asked) or ids.begins(id_, asked) for asked in self.ids
        )

    def passes(self, run: Run) -> bool:
        """Whether the run fulfils every condition."""
        if not self.window.holds(run.start_ns):
            return False
        if self.ids and not self.is_asked(run.id):
            return False
        if self.outcomes and outcome(run) not in self.outcomes:
            return False
        for wanted, value in (
            (self.provider, run.provider),
            (self.model, run.model),
            (self.operation, run.operation),
            (self.account, run.account),
            (self.user, run.user),
        ):
            if wanted and wanted != value:
                return False
        if self.error and not self._error_matches(run):
            return False
        return all(value in run.values(SHORT.get(name, name)) for name, value in self.where)

    def _error_matches(self, run: Run) -> bool:
        pattern = self.error.lower()
        kinds = [kind for kind in (run.error_type, run.error_cause) if kind]
        told = [run.error_code or "", *kinds, *(kind.rpartition(".")[2] for kind in kinds)]
        return any(value and fnmatchcase(value.lower(), pattern) for value in told)


def outcome(run: Run) -> str:
    """How a run ended in one word; a request that made none ended in its answer."""
    if run.id is not None:
        return run.outcome or UNFINISHED
    if run.returned_id:
        return RETURNED
    return REFUSED if (run.http_status or 0) >= 400 else NO_RUN


def unknown_outcome(asked: str, there: Iterable[str]) -> str:
    """What to say of an outcome that nothing has."""
    known = sorted({*there, UNFINISHED, REFUSED, RETURNED})
    near = get_close_matches(asked, known, 1)
    meant = f"; was {near[0]} meant?" if near else ""
    return f"nothing here ended as {asked}{meant} (there are: {', '.join(known)})"


def unknown(name: str, others: Iterable[str] = ()) -> str:
    """What to say of an attribute that no run has.

    Args:
        others: attributes that some run has.
    """
    known = [*others, *names.ATTRIBUTES]
    near = get_close_matches(name, known, 1) or [
        each for each in known if each.endswith(f".{name}")
    ]
    meant = f"; was {near[0]} meant?" if near else ""
    return f"no run has an attribute {name}{meant}"


def condition(text: str) -> tuple[str, str]:
    """A ``NAME=VALUE`` of --where; the value as it stands, spaces included.

    Raises:
        UsageError: there is no name or no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(
            f"--where {text!r}: NAME=VALUE was expected, such as generation.dedup=miss"
        )
    return name.strip(), value
