"""Decides what of a text that somebody else wrote is shown as it is, on a terminal and on a page.

What no reader sees, or what a terminal or a browser would obey, becomes a sign that is seen: two
texts that differ look different. JSON has every text as it was.
"""

from __future__ import annotations

import unicodedata

SIGN = "\N{REPLACEMENT CHARACTER}"
_LAYOUT = "\n\t "
# Controls, format characters (directions, tags, joiners), line and paragraph separators, halves of
# surrogates, private and unassigned characters.
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})
# Nothing is drawn for these either, though they count as marks, letters or symbols.
_BLANK = frozenset(
    map(
        chr,
        (
            0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164,
            *range(0xFE00, 0xFE10), 0xFFA0, *range(0xE0100, 0xE01F0),
        ),
    )
)  # fmt: skip


class _Shown(dict[int, str]):
    """What each character is shown as, looked up once."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        unseen = unicodedata.category(char) in _UNSEEN or char in _BLANK
        shown = self[code] = SIGN if unseen and char not in _LAYOUT else char
        return shown


_shown = _Shown()


def visible(text: str) -> str:
    """The text with a sign for each character that is not seen; newlines and tabs stay."""
    return text if text.isascii() and text.isprintable() else text.translate(_shown)
