"""Which of two explanations is the cause: one is accounted for, and what is left of the other?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gentrace.analysis.compare import candidates, drift, effects, scores
from gentrace.analysis.compare.candidates import Candidate
from gentrace.analysis.compare.scores import Scored
from gentrace.analysis.compare.strata import combined
from gentrace.analysis.compare.table import KIND, Bools, Ints, Table

_LEFT = 3.5
"""A z that is left over where another cause is accounted for: chance, looked for in many places."""

_NONE = 2.0
"""A z under which there is no sign of a difference."""


def within(runs: Table, hits: Bools, ranked: bool, strata: Ints) -> tuple[Scored, Scored | None]:
    """Scores within strata: by hits, and where it is asked by slowness."""
    ranks = scores.slowness(runs.seconds, runs.ended, strata) if ranked else None
    by_hits = scores.scored(hits.astype(np.float64), strata)
    return by_hits, None if ranks is None else scores.scored(ranks, strata)


@dataclass(frozen=True)
class Rivals:
    """Candidates of one question beside each other.

    Attributes:
        strata: by the name of an attribute, what its values are compared within.
    """

    runs: Table
    hits: Bools
    ranked: bool
    strata: Callable[[str], Ints]

    def accounted(
        self, stretch: Candidate, ordered: Sequence[Candidate], sure: Sequence[Candidate]
    ) -> bool:
        """Whether an attribute is what is special about a stretch of time (a version, say)."""
        for each in ordered:
            shared = int((each.mask & stretch.mask).sum())
            if 2 * shared <= each.mask.sum():
                continue
            if 2 * shared > stretch.mask.sum() and self._explains(each, stretch):
                return True
            if self._left(stretch, each) > _LEFT:
                continue
            told = stretch.mask if each.untold is None else stretch.mask & ~each.untold
            if candidates.same_runs(each.mask, told):
                return True
            if any(each is one for one in sure) and self._left(each, stretch) > _LEFT:
                return True
        return False

    def either(self, attribute: Candidate | None, stretch: Candidate | None) -> Candidate | None:
        """Which comes first: an attribute that accounts for a stretch of time is the cause of it.

        Where only the stretch accounts for the attribute, its runs happened to lie in it; so they
        did where either accounts for the other, and the attribute has but a small part of it, or
        leaves much of the stretch's own time that the stretch explains (a weekday, say).
        """
        if attribute is None or stretch is None:
            return attribute or stretch
        beside_attribute = self._left(stretch, attribute)
        beside_stretch = self._left(attribute, stretch)
        if beside_attribute > _LEFT > beside_stretch:
            return stretch
        if beside_stretch > _LEFT > beside_attribute:
            return attribute
        own_attribute, own_stretch = self._of_own_time(attribute, stretch)
        if own_stretch > _LEFT >= own_attribute:
            return stretch
        shared = int((attribute.mask & stretch.mask).sum())
        if beside_attribute <= _LEFT and 2 * shared > stretch.mask.sum():
            return attribute
        return attribute if attribute.z >= stretch.z else stretch

    def explaining(self, first: Candidate, sure: Sequence[Candidate]) -> Candidate:
        """The candidate that accounts for the first and is not accounted for by it, if there is.

        An attribute of the kind is compared across kinds, others within: with the same causes it
        has the more runs to be sure of. Who else makes no difference once another is given, while
        the other still does within it, only goes along with that other.
        """
        for each in sure:
            if each is first or 2 * int((each.mask & first.mask).sum()) <= first.mask.sum():
                continue
            if self._left(first, each) < _NONE and self._left(each, first) > _LEFT:
                return each
        return first

    def of_its_time(self, first: Candidate, sure: Sequence[Candidate]) -> Candidate:
        """The candidate that accounts for the first as to the time that is longer with it.

        The whole duration is noisy: of two that go along with each other either may be ahead by
        chance, where that time tells them apart.
        """
        strata = self.strata(first.name)
        time = first.time or effects.moved(self.runs, first.mask, ~first.mask, strata)
        if time is None:
            return first
        for each in sure:
            if each is first or 2 * int((each.mask & first.mask).sum()) <= first.mask.sum():
                continue
            left_first, left_each = self._of_time(time, first, each)
            if left_first < _NONE and left_each > _LEFT and not self.drifts(each):
                return each
        return first

    def stands(self, found: Candidate, before: Sequence[Candidate]) -> bool:
        """Whether an attribute of the kind makes a difference without the causes found before.

        Where only their runs tell so, the cause may as well be worse with one kind than another.
        """
        if self.ranked or found.name not in KIND or not before:
            return True
        others = ~np.logical_or.reduce([each.mask for each in before])
        here = within(self.runs, self.hits, False, self.strata(found.name))[0]
        alone = scores.scored(here.scores[others], here.strata[others])
        return bool(scores.groups(alone, [found.mask[others]]).z[0] > _NONE)

    def drifts(self, found: Candidate) -> bool:
        """Whether its runs follow each other, and what is longer varies as much without them."""
        return self.ranked and drift.drifts(
            self.runs, found.mask, self.strata(found.name), found.time
        )

    def _explains(self, attribute: Candidate, stretch: Candidate) -> bool:
        """Whether, as to the stretch's own time, the attribute says more than the stretch does."""
        left_attribute, left_stretch = self._of_own_time(attribute, stretch)
        return left_stretch <= _LEFT and left_attribute > max(1.0, left_stretch)

    def _of_own_time(self, attribute: Candidate, stretch: Candidate) -> tuple[float, float]:
        """As to the stretch's own time: what is left of each where the other is accounted for."""
        return self._of_time(stretch.name, attribute, stretch)

    def _of_time(self, time: str, one: Candidate, other: Candidate) -> tuple[float, float]:
        """The z that one of the times leaves to each where the other is accounted for."""
        if time not in self.runs.times:
            return 0.0, 0.0
        ended = self.runs.ended
        spent = self.runs.times[time][ended]
        left: list[float] = []
        for asked, given in ((one, other), (other, one)):
            strata = combined([self.strata(asked.name), given.parts], len(self.runs))[ended]
            ranks = scores.slowness(spent, np.ones(len(spent), dtype=bool), strata)
            tested = scores.groups(scores.scored(ranks, strata), [asked.mask[ended]])
            left.append(float(tested.z[0]))
        return left[0], left[1]

    def _left(self, asked: Candidate, given: Candidate) -> float:
        """The z that is left of one candidate where the other is accounted for.

        Runs that do not tell of one of the two stand beside each other alone.
        """
        apart = [self.strata(asked.name), given.parts]
        apart += [] if asked.untold is None else [asked.untold]
        both = within(self.runs, self.hits, self.ranked, combined(apart, len(self.runs)))
        return float(max(scores.groups(each, [asked.mask]).z[0] for each in both if each))
