"""Reads ``.env`` files: what ``gentrace exec`` takes from one, and whether one asks for gentrace.

The host reads its ``.env`` after the interpreter, and with it the switch, has started. The nearest
file is looked for as python-dotenv does: in a folder, then in those above it.
"""

from __future__ import annotations

import os
import re

from gentrace.core import regular_files, switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = ".env"
_MAX_BYTES = 65_536
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


def nearest(folder: str) -> str | None:
    """The path of the ``.env`` in the folder, or in the first of those above it that has one."""
    folder = os.path.abspath(folder)
    while True:
        path = os.path.join(folder, NAME)
        if os.path.isfile(path):
            return path
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def read(path: str) -> dict[str, str]:
    """The file's assignments; none where it cannot be read."""
    try:
        return parse(regular_files.head(path, _MAX_BYTES).decode("utf-8-sig", "replace"))
    except OSError:
        return {}


def asking(
    environ: Mapping[str, str], folders: Iterable[str]
) -> tuple[str, dict[str, str]] | tuple[None, None]:
    """The first nearest ``.env`` with ``GENTRACE`` on, and what it sets.

    Nothing where the environment says something about ``GENTRACE`` itself: that wins.
    """
    if "GENTRACE" not in environ:
        for folder in dict.fromkeys(folders):
            path = nearest(folder)
            found = read(path) if path else {}
            if path and switch.switched_on(found):
                return path, found
    return None, None


def parse(text: str) -> dict[str, str]:
    """The assignments of a ``.env`` file: ``[export ]KEY=VALUE``, quoted or not, with comments."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and not line.lstrip().startswith("#"):
            found[match[1]] = _value(match[2])
    return found


def _value(raw: str) -> str:
    """A value without its quotes or its comment; double quotes know ``\\n`` and escapes."""
    quote = raw[:1]
    if quote in ("'", '"'):
        pattern = r'"((?:[^"\\]|\\.)*)"' if quote == '"' else r"'([^']*)'"
        match = re.match(pattern, raw)
        if match:
            inner = match[1]
            if quote == '"':
                inner = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), inner)
            return inner
    return "" if raw.startswith("#") else re.split(r"\s+#", raw, maxsplit=1)[0].strip()
