"""What the host's profile rules on statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gentrace.core.profile import Statuses


@dataclass(frozen=True, slots=True)
class Settling:
    """The profile's rules on statuses.

    Attributes:
        outcomes: each final status, and the outcome that it means.
        after_s: outcome to the seconds for which a final status may still be taken back.
        held: statuses of what a person has put aside.
    """

    outcomes: Mapping[str, str]
    after_s: Mapping[str, float]
    held: frozenset[str] = frozenset()

    @classmethod
    def of(cls, words: Statuses) -> Settling:
        """The rules of a profile."""
        outcomes = {word: words.outcome(word) or word for word in words.final}
        return cls(outcomes, words.settle_s, frozenset(words.held))

    def ns(self, outcome: str) -> int:
        """How long that outcome settles, in nanoseconds."""
        return round(self.after_s.get(outcome, 0.0) * 1e9)
