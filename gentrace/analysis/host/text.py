"""A checkout's Python as text: which files say a word, parsed where one is worth it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from gentrace.core.checkout import Checkout
from gentrace.core.source_tree import SourceTree

_LISTED = 6
_WORD = re.compile(r"\w+")
ALIKE = 0.75  # how alike two words are, of which one is the other misspelt


@dataclass(frozen=True, slots=True)
class Source:
    """One parsed file of the host."""

    module: str
    tree: ast.Module


class HostText:
    """The Python files of a checkout's packages.

    Args:
        tree: the parsed files; nothing is imported or run.
    """

    def __init__(self, checkout: Checkout, tree: SourceTree) -> None:
        self.checkout, self.tree = checkout, tree

    @cached_property
    def texts(self) -> dict[Path, str]:
        """Every file's text; one that cannot be read is left out."""
        found: dict[Path, str] = {}
        for path in self.checkout.files():
            try:
                found[path] = path.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
        return found

    @cached_property
    def modules(self) -> list[str]:
        """Every module's name."""
        return [self.module(path) for path in self.texts]

    def module(self, path: Path) -> str:
        """The dotted name of a file."""
        parts = path.relative_to(self.checkout.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def parsed(self, *needles: str) -> Iterator[Source]:
        """The files with one of these in their text, parsed; those that are no Python left out."""
        for path, text in self.texts.items():
            tree = self.tree.parse(path) if any(each in text for each in needles) else None
            if tree is not None:
                yield Source(self.module(path), tree)

    @cached_property
    def _words(self) -> set[str]:
        return {word.lower() for text in self.texts.values() for word in _WORD.findall(text)}

    def says(self, word: str) -> bool:
        """Whether the word, in whatever case, stands anywhere in the host."""
        if _WORD.fullmatch(word):
            return word.lower() in self._words
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
        return any(pattern.search(text) for text in self.texts.values())


def nearest(word: str, known: Iterable[str], alike: float = ALIKE) -> str:
    """The known word that was probably meant; empty where none is alike."""
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=alike)
    return by_lower[found[0]] if found else ""


def meant(word: str, known: Iterable[str]) -> str:
    """For the end of a sentence: what was meant, else what there is."""
    listed = sorted(set(known))
    near = nearest(word, listed, 0.6)
    if near:
        return f"; did you mean {near!r}?"
    more = ", …" if len(listed) > _LISTED else ""
    return f"; there are: {', '.join(listed[:_LISTED])}{more}" if listed else ""
