"""What a comparison of groups is given and gives back: one record a run, groups and findings.

Durations are seconds, moments Unix ns. Times are keyed as the contract's without ``_s``:
``api``, ``queue``, ``account_wait``, …
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_NO_TIMES: Mapping[str, float] = {}
_NO_TEXTS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run, as far as a group question needs it.

    Attributes:
        id: the generation's id.
        run: 1 for the generation's first run.
        duration_s: None while it goes on.
        outcome: None while it goes on.
        seen_s: how old it is known to have become; its duration once it has ended.
        times: seconds in each of the times.
        attributes: everything worth grouping by, by attribute name; no unique ids.
        stage: how far it got.
        incomplete: what gentrace knows to be missing from its spans.
    """

    id: str
    run: int
    trace_id: str
    start_ns: int
    duration_s: float | None
    outcome: str | None
    seen_s: float = 0.0
    operation: str | None = None
    provider: str | None = None
    model: str | None = None
    times: Mapping[str, float] = field(default_factory=lambda: _NO_TIMES)
    attributes: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    error_code: str | None = None
    error_type: str | None = None
    stage: str | None = None
    incomplete: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple[str, str, str]:
        """What was asked, of whom, with which model."""
        return self.operation or "", self.provider or "", self.model or ""

    @property
    def at_least_s(self) -> float:
        """Its duration, or for an unfinished run the age it is known to have reached."""
        return self.seen_s if self.duration_s is None else self.duration_s


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A run to look at."""

    id: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between the groups that chance does not explain.

    Attributes:
        kind: ``attribute``, ``time``, ``mix`` or ``error``.
        name: the attribute, the time, or what the fingerprint is made of.
        value: the attribute's value or the fingerprint; None for a time.
        time: which of the times moved with it; None where none did.
        effect: seconds within kind, or a difference of shares (``unit``).
        interval: its low and high at 95 %.
        unit: ``s`` or ``share``.
        p_adjusted: corrected over everything that was tested.
        n: how many runs carry the value, in both groups.
        also: other ``name=value`` that the same runs carry, so that data cannot tell them apart.
        window: of a ``time`` that went up for a while, the first and the last start in it.
        fingerprint: of failures, which of them it is about; None is all.
        comparison: the two of the answer's groups that it comes from.
        at_least: the effect rests on ages of runs that have not ended: it is a lower bound.
    """

    kind: str
    name: str
    value: str | None
    time: str | None
    effect: float
    interval: tuple[float, float]
    p_adjusted: float
    exemplars: tuple[Exemplar, ...] = ()
    unit: str = "s"
    n: int = 0
    also: tuple[str, ...] = ()
    window: tuple[int, int] | None = None
    fingerprint: str | None = None
    comparison: tuple[str, str] = ("a", "b")
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """One side of a comparison.

    Attributes:
        label: what the side is, in words.
        durations: of the finished runs, seconds, ascending.
        ages: what the unfinished runs have reached, seconds, ascending.
        p50_s: the median with unfinished runs censored at their age; None where half are longer
            than anything known.
        times: the mean seconds in each of the times, of the finished runs; empty where none has.
        medians: the median seconds likewise.
    """

    label: str
    n: int
    finished: int
    unfinished: int
    p50_s: float | None
    p90_s: float | None
    durations: tuple[float, ...] = ()
    ages: tuple[float, ...] = ()
    times: Mapping[str, float] = field(default_factory=lambda: _NO_TIMES)
    medians: Mapping[str, float] = field(default_factory=lambda: _NO_TIMES)
    outcomes: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class TimeDifference:
    """Where the difference between two groups lies: one of the times.

    Attributes:
        a_s: the mean seconds in the first group, ``b_s`` in the second; None where it has no
            finished run.
        difference_s: a minus b; these add up to the difference of the mean durations.
        share: of all that goes the way of the whole difference, from 0 to 1; None where it goes
            the other way, or where the groups do not differ.
    """

    a_s: float | None
    b_s: float | None
    a_median_s: float | None
    b_median_s: float | None
    difference_s: float | None
    share: float | None


@dataclass(frozen=True, slots=True)
class NearestSuccess:
    """The run of the same kind, nearest in time, that went well.

    Attributes:
        same_kind: False where the kind has no success: it is of the wider kind, or of any.
    """

    id: str
    trace_id: str
    apart_s: float
    same_kind: bool = True


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Failures that look alike.

    Attributes:
        fingerprint: error code, class and stage in one line.
        share: of all failures.
        nearest_success: of the newest of these failures.
        still_happening: False where chance does not explain that none came since the last one;
            None where they are under three, which says nothing.
        new_since: it was first seen after that moment or version, and chance does not explain that
            none came before; None where nothing says so.
    """

    fingerprint: str
    n: int
    share: float
    stage: str | None
    error_code: str | None
    error_type: str | None
    exemplars: tuple[Exemplar, ...]
    nearest_success: NearestSuccess | None
    first_seen_ns: int
    last_seen_ns: int
    still_happening: bool | None
    new_since: str | None


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """The answer.

    Attributes:
        question: ``slow``, ``failing`` or ``groups``.
        groups: by name; the first is the side whose cause is sought.
        findings: the strongest cause first; empty where nothing was found.
        symptoms: what became of the runs (tries, waits, the processes they crossed) and the causes
            found do not account for; told beside the findings, and no causes.
        times: by time, the largest difference first.
        not_enough_data: sentences on what could not be asked.
        notes: sentences on what was read and left out.
        fingerprints: of ``failing`` only, the most frequent first.
        tested: how many hypotheses the correction covers; 0 where nothing could be asked.
    """

    question: str
    groups: Mapping[str, Group]
    findings: Sequence[Finding] = ()
    times: Mapping[str, TimeDifference] = field(default_factory=dict[str, TimeDifference])
    not_enough_data: Sequence[str] = ()
    notes: Sequence[str] = ()
    fingerprints: Sequence[Fingerprint] = ()
    tested: int = 0
    truncated: bool = False
    symptoms: Sequence[Finding] = ()
