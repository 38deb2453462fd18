"""What the prompts of a run have in common with a text, however it is spelt there.

More than eight characters in a row count. Case, accents, and what stands between words make no
difference, nor does leaving it out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from gentrace.core.scrub.forms import KEPT, forms

SIZE = 9  # more than eight characters of a prompt in a row are a part of it
_MAX_PROMPT = 20_000
_BLOCK = 5

_BLANKS = str.maketrans(dict.fromkeys("-_+\t\n\r\x0b\x0c", " "))
_NO_LETTER = re.compile(rf"[^\w{KEPT}]|_")
_LETTERS = str.maketrans(dict.fromkeys(chr(n) for n in range(128) if not chr(n).isalnum()))
_DOUBLE = re.compile(" (?= )")
_BLANK = frozenset({"Zs", "Zl", "Zp", "Pd", "Cc"})


class Prompts:
    """The parts of a run's prompts, looked up in texts.

    Attributes:
        passed, passed_texts: for the scrubber: short values and texts that leave as they are.
    """

    def __init__(self, prompts: Sequence[str]) -> None:
        spelt = {form.text for each in prompts for form in forms(each[:_MAX_PROMPT])}
        folded = {fold(each)[0] for each in spelt}
        folded |= {" ".join(each.split()) for each in folded}
        self._as_spelt = _Parts(folded)
        self._letters = _Parts({_NO_LETTER.sub("", each) for each in folded})
        self.passed: set[str] = set()
        self.passed_texts: set[str] = set()

    def found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where parts of the prompts stand in a text."""
        if len(text) < SIZE:
            return
        folded, places = fold(text)
        for start, end in self._as_spelt.stretches(folded):
            yield _placed(places, start, end)
        if "  " in folded:
            yield from self._found_in(_DOUBLE.sub("", folded), _DOUBLE, folded, places)
        left = folded.translate(_LETTERS) if folded.isascii() else _NO_LETTER.sub("", folded)
        yield from self._found_in(left, _NO_LETTER, folded, places)

    def _found_in(
        self, left: str, left_out: re.Pattern[str], folded: str, places: Sequence[int] | None
    ) -> Iterator[tuple[int, int]]:
        """... in what is left of it when some characters are left out."""
        parts = self._letters if left_out is _NO_LETTER else self._as_spelt
        found = list(parts.stretches(left))
        if not found:
            return
        gone = {each.start() for each in left_out.finditer(folded)}
        kept = [place for place in range(len(folded)) if place not in gone]
        for start, end in found:
            yield _placed(places, kept[start], kept[end - 1] + 1)


class _Parts:
    """All parts of some texts that are nine characters long.

    Every part of nine holds one of the text's blocks of five whole. So a text is passed over by a
    fifth of the look-ups that its parts would take.
    """

    def __init__(self, texts: set[str]) -> None:
        self._whole = "\x00".join(sorted(texts))

    def stretches(self, text: str) -> Iterator[tuple[int, int]]:
        """Where the text holds parts, each as long as it goes on."""
        start = end = -1
        for place in self._places(text):
            if place > end - SIZE + 1:
                if end > 0:
                    yield start, end
                start = place
            end = place + SIZE
        if end > 0:
            yield start, end

    def _places(self, text: str) -> Iterator[int]:
        whole, last = self._whole, len(text) - SIZE
        for block in range(0, len(text) - _BLOCK + 1, _BLOCK):
            if text[block : block + _BLOCK] in whole:
                for place in range(max(0, block - SIZE + _BLOCK), min(block, last) + 1):
                    if text[place : place + SIZE] in whole:
                        yield place


def fold(text: str) -> tuple[str, Sequence[int] | None]:
    """A text in small letters without accents, each blank or dash as a blank.

    Returns:
        It, and where in the text each of its characters begins and the last ends; None where
        they stand as before.
    """
    if text.isascii():
        return text.lower().translate(_BLANKS), None
    pieces: list[str] = []
    places: list[int] = []
    begun = 0
    for place in range(1, len(text) + 1):
        if place < len(text) and _goes_on(text[place]):
            continue
        piece = _folded(text[begun:place])
        pieces.append(piece)
        places += [begun] * len(piece)
        begun = place
    return "".join(pieces), [*places, len(text)]


@lru_cache(maxsize=4096)
def _folded(letter: str) -> str:
    """One letter with its accents."""
    if letter == KEPT:
        return letter
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letter).casefold())
    left = unicodedata.normalize("NFKC", "".join(c for c in bare if not unicodedata.combining(c)))
    return "".join(
        " " if unicodedata.category(c) in _BLANK or c in "-_+" else c
        for c in left
        if unicodedata.category(c) != "Cf"
    )


def _goes_on(character: str) -> bool:
    """Whether it belongs to the letter before it: an accent, the rest of a Korean syllable."""
    return unicodedata.combining(character) != 0 or "\u1160" <= character <= "\u11ff"


def _placed(places: Sequence[int] | None, start: int, end: int) -> tuple[int, int]:
    if places is None:
        return start, end
    after = places[end]
    return places[start], after if after > places[end - 1] else _after(places, end)


def _after(places: Sequence[int], end: int) -> int:
    """The end of a letter that folds into several."""
    return next(place for place in places[end:] if place > places[end - 1])


@lru_cache(maxsize=256)
def known(prompts: tuple[str, ...]) -> Prompts | None:
    """The parts of those prompts, kept for the runs that are going on; None without any."""
    prompts = tuple(each for each in prompts if len(each) >= SIZE)
    return Prompts(prompts) if prompts else None
