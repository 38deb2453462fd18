"""Causes one after another: find the strongest, account for it, and ask again.

What only went along with a cause has nothing left to say once runs are compared with those that
share the cause or lack it as they do; a second cause still has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from gentrace.analysis.compare import candidates, chances, processes, scores
from gentrace.analysis.compare.candidates import Candidate
from gentrace.analysis.compare.rivals import Rivals, within
from gentrace.analysis.compare.scores import ALPHA, EXACT_RUNS, EXACT_UNDER, Scored, holm
from gentrace.analysis.compare.strata import beside, combined, kinds
from gentrace.analysis.compare.table import KIND, TIMES, Bools, Column, Ints, Table, Tags

MOST = 8
_HALF = float(np.log(2))
"""A value counts as two hypotheses: its slowness is one, how often it is slow for its kind half of
one, and the times each by itself the other half. What is a half has its chance doubled."""


@dataclass(frozen=True)
class Found:
    """A cause.

    Attributes:
        strata: what its runs were compared within: kind, and the causes found before.
        also: ``name=value`` of what the same runs carry.
    """

    candidate: Candidate
    p_adjusted: float
    strata: Ints
    also: tuple[str, ...] = ()


@dataclass
class Search:
    """One question put to the runs.

    Attributes:
        hits: the runs whose cause is sought (slow, or failed).
        ranked: runs that are not hits differ in how slow they were, and that is asked, too.
        kind_too: operation, provider and model may be causes.
        tested: how many hypotheses so far.
        symptoms: what became of the runs, where the causes do not account for it.
    """

    runs: Table
    hits: Bools
    ranked: bool
    kind_too: bool = False
    tested: int = 0
    found: list[Found] = field(default_factory=list[Found])
    symptoms: list[Found] = field(default_factory=list[Found])
    _strata: dict[tuple[str, int], Ints] = field(default_factory=dict[tuple[str, int], Ints])
    _scores: dict[tuple[str, int], tuple[Scored, Scored | None]] = field(
        default_factory=dict[tuple[str, int], "tuple[Scored, Scored | None]"]
    )

    def run(self, outside: int = 0) -> list[Found]:
        """The causes, the strongest first; ``outside`` hypotheses are tested beside these."""
        causes = candidates.causes(self.runs, self.kind_too)
        times = TIMES if self.ranked else ("",)
        self.tested = self.count() + outside
        self._collect(causes, times)
        if self.ranked:
            self._slow_processes()
        n = len(self.found)
        self._collect(candidates.symptoms(self.runs), None)
        self.found, self.symptoms = self.found[:n], self.found[n:]
        return self.found

    def _collect(self, asked: Sequence[str], times: Sequence[str] | None) -> None:
        while len(self.found) < MOST:
            best = self._next(asked, times)
            if best is None:
                return
            self.found = [*self.found, best]

    def _slow_processes(self) -> None:
        """Processes that are slow beside others at the same time, for the causes found before."""
        while len(self.found) < MOST:
            parts = [each.candidate.parts for each in self.found]
            best = self._significant(processes.slowest(self.runs, self.strata(), parts))
            rivals = Rivals(self.runs, self.hits, self.ranked, self.strata)
            if best is None or rivals.drifts(best):
                return
            p = holm(float(np.exp(best.log_p)), self.tested, len(self.found))
            strata = combined([self.strata(), processes.alike(self.runs)], len(self.runs))
            self.found = [*self.found, Found(best, p, strata)]

    def count(self) -> int:
        """How many hypotheses about attributes there are."""
        causes = candidates.causes(self.runs, self.kind_too)
        return self._count(causes) + self._count(candidates.symptoms(self.runs))

    def strata(self, name: str = "") -> Ints:
        """Kind (but for an attribute of the kind itself), and the causes found so far."""
        key = (name if name in KIND else "", len(self.found))
        if key not in self._strata:
            parts = [each.candidate.parts for each in self.found]
            self._strata[key] = combined([kinds(self.runs, beside(name)), *parts], len(self.runs))
        return self._strata[key]

    def _count(self, asked: Sequence[str]) -> int:
        count = 0
        for name, column in candidates.columns(self.runs, asked):
            scored, _ = self._scored(name)
            count += int(scores.words(scored, column).enough.sum())
        return count * 2 if self.ranked else count

    def _scored(self, name: str = "") -> tuple[Scored, Scored | None]:
        """By hits, and where it is asked by slowness, within :meth:`strata`."""
        key = (name if name in KIND else "", len(self.found))
        if key not in self._scores:
            self._scores[key] = within(self.runs, self.hits, self.ranked, self.strata(name))
        return self._scores[key]

    def _next(self, asked: Sequence[str], times: Sequence[str] | None) -> Found | None:
        """The strongest of what is left, or None where chance explains all of it."""
        stretch = None
        if times is not None:
            seen = {f.candidate.name for f in self.found if f.candidate.kind == "time"}
            stretch = self._stretch(self.strata(), [time for time in times if time not in seen])
        ordered = sorted(self._candidates(asked), key=lambda found: found.log_p)
        rivals = Rivals(self.runs, self.hits, self.ranked, self.strata)
        before = [each.candidate for each in self.found if each.candidate.kind == "attribute"]
        sure = [each for each in ordered if self._significant(each)]
        sure = [each for each in sure if rivals.stands(each, before)]
        best = next((each for each in sure if not rivals.drifts(each)), None)
        if best is not None:
            account = rivals.of_its_time if self.ranked else rivals.explaining
            best = account(best, sure)
        if stretch is not None and not rivals.accounted(stretch, ordered, sure):
            best = rivals.either(best, stretch)
        if best is None and times is not None and self.ranked:
            best = self._by_time(asked, rivals)
        if best is None:
            return None
        p = holm(float(np.exp(best.log_p)), self.tested, len(self.found))
        also: tuple[str, ...] = ()
        if best.kind == "attribute":
            best, also = self._named(best, ordered)
        return Found(best, p, self.strata(best.name), also)

    def _by_time(self, asked: Sequence[str], rivals: Rivals) -> Candidate | None:
        """What lengthens one of the times and is lost in the noise of the whole duration."""
        taken = {(f.candidate.name, f.candidate.value) for f in self.found}
        best: Candidate | None = None
        for each in candidates.by_time(self.runs, self.strata(), asked):
            better = best is None or each.log_p < best.log_p
            if better and (each.name, each.value) not in taken and self._significant(each):
                best = best if rivals.drifts(each) else each
        return best

    def _candidates(self, asked: Sequence[str]) -> Iterator[Candidate]:
        taken = {(f.candidate.name, f.candidate.value) for f in self.found}
        for name, column in candidates.columns(self.runs, asked):
            strata = self.strata(name)
            hits, ranks = self._scored(name)
            by_hits = scores.words(hits, column)
            by_rank = scores.words(ranks, column) if ranks is not None else by_hits
            untold = candidates.untold(self.runs, column)
            for code in np.flatnonzero(by_hits.enough).tolist():
                if (name, column.words[code]) in taken:
                    continue
                z = max(float(by_hits.z[code]), float(by_rank.z[code]))
                if z < 2:
                    continue
                mask = _mask(column, int(code), len(self.runs))
                log_p = self._log_p(mask, strata, float(by_hits.z[code]), float(by_rank.z[code]))
                yield Candidate(
                    "attribute", name, column.words[code], mask, log_p, z, untold=untold
                )

    def _log_p(self, mask: Bools, strata: Ints, z_hits: float, z_rank: float) -> float:
        """By hits exactly where there are few, else by the normal approximation."""
        log_hits = chances.log_normal_tail(z_hits)
        expected = float(self.hits.mean()) * float(mask.sum())
        if expected < EXACT_UNDER and len(self.runs) <= EXACT_RUNS and z_hits > 2:
            log_hits = float(np.log(max(scores.exact_over(self.hits, mask, strata), 1e-300)))
        if not self.ranked:
            return log_hits
        return min(log_hits + _HALF, chances.log_normal_tail(z_rank))

    def _stretch(self, strata: Ints, times: Sequence[str]) -> Candidate | None:
        slow, ranks = self._scored()
        if self.ranked:
            found, looked = candidates.window(self.runs, strata, ranks or slow, times)
        else:
            found, looked = candidates.burst(self.runs, self.hits, strata)
        if not self.found:
            self.tested += looked
        return self._significant(found)

    def _significant(self, found: Candidate | None) -> Candidate | None:
        if found is None:
            return None
        p = holm(float(np.exp(found.log_p)), self.tested, len(self.found))
        return found if p <= ALPHA else None

    def _named(
        self, best: Candidate, ordered: Sequence[Candidate]
    ) -> tuple[Candidate, tuple[str, ...]]:
        """Of candidates that nearly the same runs carry, the one to name, and the others.

        The best is among ``ordered`` only where the whole duration told of it.
        """
        own = (best.name, best.value)
        others = [c for c in ordered if (c.name, c.value) != own]
        alike = [best, *(c for c in others if candidates.same_runs(c.mask, best.mask))]
        asked = candidates.causes(self.runs, self.kind_too) + candidates.symptoms(self.runs)
        places = {name: place for place, name in enumerate(asked)}
        alike.sort(key=lambda c: places.get(c.name, len(places)))
        return alike[0], tuple(f"{c.name}={c.value}" for c in alike[1:6])


def _mask(column: Column | Tags, code: int, length: int) -> Bools:
    if isinstance(column, Column):
        return column.codes == code
    found = np.zeros(length, dtype=bool)
    found[column.rows[column.codes == code]] = True
    return found
