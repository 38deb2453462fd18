"""The forms that a text can be read in: as it stands, unquoted, JSON-unescaped, blanks for pluses.

A form remembers where in the original each of its characters stands, so that what shows in it
is taken out of the original. Marks count as one character that no rule touches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

KINDS = ("code", "email", "key", "message", "prompt", "query", "secret", "sql", "text", "token")
MARK = re.compile(rf"<(?:{'|'.join((*KINDS, 'user'))}):\d{{1,9}}:[0-9a-f]{{8}}>")
KEPT = "\ue000"  # stands for a mark: a private character, which no rule takes for a part of a text

_LEVELS = 3  # quoted twice, within JSON
_ESCAPES = re.compile(
    r"(?:%[0-9A-Fa-f]{2})+|(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\[nrtbf\"'/\\]"
)
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Form:
    """A text as it reads in one form.

    Attributes:
        places: where each character begins in the original, and where the last one ends; None
            where the form is the original.
    """

    text: str
    places: Sequence[int] | None = None

    def stretch(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original that shows those characters."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end]


def forms(text: str) -> Iterator[Form]:
    """The text as it stands, then each further form that differs from the one before."""
    form = Form(text)
    if "<" in text:
        form = _replaced(form, MARK, lambda _found: [(KEPT, 0)])
    yield form
    if "%" not in text and "\\" not in text and "+" not in text:
        return
    for _ in range(_LEVELS):
        if "+" in form.text:
            yield Form(form.text.replace("+", " "), form.places)
        read = _replaced(form, _ESCAPES, _characters)
        if read is form:
            return
        form = read
        yield form
    if "+" in form.text:
        yield Form(form.text.replace("+", " "), form.places)


def _replaced(
    form: Form,
    pattern: re.Pattern[str],
    read: Callable[[str], list[tuple[str, int]]],
) -> Form:
    """The form with each match as the characters that it stands for; itself where there is none."""
    text, before = form.text, form.places
    pieces: list[str] = []
    at: list[int] = []
    done = 0
    for found in pattern.finditer(text):
        pieces.append(text[done : found.start()])
        at += range(done, found.start())
        for character, offset in read(found.group()):
            pieces.append(character)
            at.append(found.start() + offset)
        done = found.end()
    if not done:
        return form
    pieces.append(text[done:])
    at += range(done, len(text) + 1)
    return Form("".join(pieces), at if before is None else [before[place] for place in at])


def _characters(escape: str) -> list[tuple[str, int]]:
    """What an escape stands for: each character, and how far into the escape it begins."""
    if escape[0] == "%":
        return _of_bytes(bytes.fromhex(escape.replace("%", "")))
    if escape[1] == "u":
        return _of_units([int(escape[n : n + 4], 16) for n in range(2, len(escape), 6)])
    if escape[1] == "x":
        return [(chr(int(escape[2:], 16)), 0)]
    return [(_PLAIN.get(escape[1], escape[1]), 0)]


def _of_bytes(given: bytes) -> list[tuple[str, int]]:
    """UTF-8, three characters of the original a byte; what is none is read as Latin-1."""
    found: list[tuple[str, int]] = []
    offset = 0
    for character in given.decode("utf-8", "surrogateescape"):
        alone = "\udc80" <= character <= "\udcff"
        found.append((chr(ord(character) - 0xDC00) if alone else character, 3 * offset))
        offset += 1 if alone else len(character.encode())
    return found


def _of_units(units: list[int]) -> list[tuple[str, int]]:
    """UTF-16, six characters of the original a unit."""
    found: list[tuple[str, int]] = []
    number = 0
    while number < len(units):
        unit, offset = units[number], 6 * number
        low = units[number + 1] if number + 1 < len(units) else 0
        if 0xD800 <= unit < 0xDC00 <= low < 0xE000:
            unit, number = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), number + 1
        found.append((chr(unit), offset))
        number += 1
    return found
