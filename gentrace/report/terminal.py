"""The console: its width, its encoding, and lines that are wrapped and never cut.

Colour only adds; nothing is told by it alone.
"""

from __future__ import annotations

import os
import sys

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

PIPED_WIDTH = 120
_ASCII = str.maketrans(
    {"·": "-", "→": ">", "█": "#", "░": ":", "├": "|", "└": "`", "│": "|", "…": "~", "•": "*",
     "✗": "x", "◆": "*", "×": "x"}
)  # fmt: skip
# What a host wrote may hold escape sequences: a terminal would obey them.
_DIRECTION = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))  # would turn the text around it
_CONTROLS = dict.fromkeys({*range(32), *range(127, 160), *_DIRECTION} - {9, 10}, "\ufffd")


def console() -> Console:
    """Standard output; where it is no terminal, as wide as COLUMNS says or 120."""
    width = None
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdecimal():
        width = PIPED_WIDTH
    return Console(width=width, highlight=False, emoji=False, markup=False)


def printable(text: str) -> str:
    """The text with what a terminal would obey made visible."""
    return text.translate(_CONTROLS)


def write(to: Console, line: Text) -> None:
    """One line as it is, its control characters made visible; in ASCII where there is no more."""
    line.plain = printable(line.plain).replace("\n", "\ufffd")
    if not (to.encoding or "").lower().startswith("utf"):
        line.plain = line.plain.translate(_ASCII)
    line.rstrip()
    to.print(line, no_wrap=True, overflow="ignore", crop=False)


def say(to: Console, text: str, style: str = "", indent: str = "") -> None:
    """A sentence, over as many lines as it needs."""
    for number, line in enumerate(wrapped(text, to.width - len(indent))):
        write(to, Text((indent if number else "") + line, style))


def indented(to: Console, text: str, style: str, indent: int, below: int = 0) -> None:
    """A sentence over as many lines as it needs, all indented, those below the first further."""
    below = below or indent
    for number, line in enumerate(wrapped(text, to.width - below)):
        write(to, Text(" " * (below if number else indent) + line, style))


def address(to: Console, url: str) -> None:
    """An address on a line of its own, unbroken however long: it can be clicked and copied."""
    write(to, Text(url, "dim"))


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` cells (10 at least), broken at spaces where there are any."""
    width = max(10, width)
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line = ""
        *pieces, word = chop_cells(word, width)
        lines += pieces
        line = f"{line} {word}" if line else word
    return [*lines, line] if line or not lines else lines
