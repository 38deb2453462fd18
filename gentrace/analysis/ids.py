"""Ids of generations as people type and read them: a UUID's spellings, beginnings of long ids."""

from __future__ import annotations

import re
from collections.abc import Iterable

FEWEST, SHOWN = 4, 8
"""So many characters are a beginning at all; so many are shown of a long id."""
_LONG = 16  # a shorter id is typed whole, and a number's beginning is another number
_UUID = re.compile(
    r"(?:urn:uuid:)?\{?([0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})\}?", re.IGNORECASE
)
_DIGITS = re.compile(r"[0-9a-f-]+", re.IGNORECASE)


def uuid_digits(text: str) -> str:
    """The 32 lower-case digits of a UUID in whatever spelling; empty where it is none."""
    matched = _UUID.fullmatch(text)
    return matched[1].replace("-", "").lower() if matched else ""


def spellings(asked: str) -> list[str]:
    """The id as it was given; then, of a UUID, as hosts write it, the likely ones first."""
    digits = uuid_digits(asked)
    if not digits:
        return [asked]
    dashed = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return list(dict.fromkeys((asked, dashed, digits, dashed.upper(), digits.upper())))


def may_begin(asked: str) -> bool:
    """Whether it may be the beginning of an id and is no whole UUID."""
    return len(asked) >= FEWEST and not uuid_digits(asked)


def begins(id_: str, asked: str) -> bool:
    """Whether a long id begins so; a UUID's dashes and its case do not matter."""
    if len(id_) < _LONG or len(asked) < FEWEST:
        return False
    if id_.startswith(asked):
        return True
    digits = uuid_digits(id_)
    return bool(digits and _DIGITS.fullmatch(asked)) and digits.startswith(
        asked.replace("-", "").lower()
    )


def shortened(ids: Iterable[str]) -> dict[str, str]:
    """Of each long id the shortest beginning that no other one has, :data:`SHOWN` at least."""
    ordered = sorted(set(ids))
    found: dict[str, str] = {}
    for before, id_, after in zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False):
        if len(id_) >= _LONG:
            least = max(_common(before, id_), _common(id_, after)) + 1
            found[id_] = id_[: max(SHOWN, least)]
    return found


def _common(one: str, other: str) -> int:
    """How many characters two ids have in common, as whoever types them reads them."""
    pairs = zip(one.lower(), other.lower(), strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
