"""The console: its width, its encoding, and lines that are wrapped and never cut.

Colour only adds; nothing is told by it alone.
"""

from __future__ import annotations

import os
import re
import sys

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from gentrace.report.visible import SIGN, visible

PIPED_WIDTH = 120
_WORD = re.compile(r"\S*\d (?:%|ms|s|min|h|d)(?!\w)\S*|\S+")
"""What stays on one line: a word, or a number with the unit after it."""
_ASCII = str.maketrans(
    {"·": "-", "→": ">", "█": "#", "░": ":", "├": "|", "└": "`", "│": "|", "…": "~", "•": "*",
     "✗": "x", "◆": "*", "×": "x",
     SIGN: "?"}
)  # fmt: skip


def console() -> Console:
    """Standard output; where it is no terminal, as wide as COLUMNS says or 120."""
    width = None
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdecimal():
        width = PIPED_WIDTH
    return Console(width=width, highlight=False, emoji=False, markup=False)


def write(to: Console, line: Text) -> None:
    """One line as it is, every character of it visible; in ASCII where there is no more."""
    line.plain = visible(line.plain).replace("\n", SIGN)
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
    """Lines of at most ``width`` cells (10 at least), broken at spaces where there are any.

    A number keeps its unit.
    """
    width = max(10, width)
    lines: list[str] = []
    line = ""
    for word in _WORD.findall(visible(text)):
        if line and cell_len(line) + 1 + cell_len(word) > width:
            lines.append(line)
            line = ""
        *pieces, word = chop_cells(word, width) or [word]  # of marks without a letter, none
        lines += pieces
        line = f"{line} {word}" if line else word
    return [*lines, line] if line or not lines else lines
