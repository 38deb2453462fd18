"""Several checkouts of one host side by side: which spelling of each target stands in which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gentrace.core.profile import Profile, Target
from gentrace.core.targets import RESOLVED, Inspection, Resolved


@dataclass(frozen=True, slots=True)
class Told:
    """Something that holds in some of the checkouts, by their positions."""

    text: str
    where: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One target through all checkouts.

    Attributes:
        found: what became of it in each checkout.
        spellings: ``module:qualname`` of each spelling that stands somewhere, newest first.
        methods: an adapter's methods, as ``Owner.method``.
        reasons: why it is not there.
        remarks: what is not read there, and what is worth knowing.
    """

    target: Target
    found: tuple[Resolved, ...]
    spellings: tuple[Told, ...]
    methods: tuple[Told, ...]
    reasons: tuple[Told, ...]
    remarks: tuple[Told, ...]

    def spelling(self, position: int) -> int:
        """The number of the spelling in that checkout, from 1; 0 where there is none."""
        numbers = (n for n, told in enumerate(self.spellings, 1) if position in told.where)
        return next(numbers, 0)


def compare(profile: Profile, inspections: Sequence[Inspection]) -> list[Row]:
    """Every target of the profile, in its order."""
    columns = [inspection.resolved for inspection in inspections]
    return [_row(profile, t, [column[i] for column in columns])
            for i, t in enumerate(profile.targets)]  # fmt: skip


def _row(profile: Profile, target: Target, found: Sequence[Resolved]) -> Row:
    order = [":".join(spelling) for spelling in target.spellings(profile.packages)]
    spellings = _told(found, lambda r: [f"{r.spelling} ({r.kind})"] if r.state == RESOLVED else [])
    return Row(
        target,
        tuple(found),
        tuple(sorted(spellings, key=lambda told: order.index(told.text.partition(" (")[0]))),
        tuple(sorted(_told(found, _methods), key=lambda told: told.text)),
        tuple(_told(found, lambda r: [r.reason] if r.state != RESOLVED else [])),
        tuple(_told(found, lambda r: (*r.problems, *r.notes) if r.state == RESOLVED else [])),
    )


def _methods(r: Resolved) -> Iterable[str]:
    return [f"{m.owner}.{m.name} ({'async ' * m.is_async}method)" for m in r.methods]


def _told(found: Sequence[Resolved], of: Callable[[Resolved], Iterable[str]]) -> list[Told]:
    """The same text of several checkouts once, in the order of the checkouts."""
    places: dict[str, list[int]] = {}
    for position, r in enumerate(found):
        for text in of(r):
            places.setdefault(text, []).append(position)
    return [Told(text, tuple(where)) for text, where in places.items()]
