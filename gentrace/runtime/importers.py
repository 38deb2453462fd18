"""What became of the copies of hooked functions: importers' names, and copies out of reach.

A name of the host's for a function stands for the wrapped one while it is hooked, also where it was
given before. Who holds it otherwise is listed (runtime/copies.py finds them).
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from gentrace.runtime import copies, notices

# Target's name, the function, what stands in its place
Wrapped = tuple[str, Any, Any]

# Wrappers that others kept when they were taken out; should we come again, their calls are not seen
_left: list[weakref.ref[Any]] = []


class Importers:
    """The copies of one session's hooked functions.

    Attributes:
        patched: target's name -> the names that were given the wrapped function.
        unreached: target's name -> who else took the function before it was hooked.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self.patched: dict[str, list[str]] = defaultdict(list)
        self.unreached: dict[str, list[str]] = defaultdict(list)
        self._packages = packages
        self._wrapped: list[Wrapped] = []
        self._not_looked_for: list[Wrapped] = []
        self._undo: list[Callable[[], None]] = []

    def give(self, wrapped: Sequence[Wrapped], late: bool) -> None:
        """Let the names for these functions stand for the wrapped ones.

        Args:
            late: they had been there for anybody. Else their module has just been executed: a
                circular import may have taken its functions, no more.
        """
        self._wrapped += wrapped
        self._not_looked_for += wrapped if late else ()
        functions = {
            id(function): hooked
            for _, function, hooked in wrapped
            if late or "." not in getattr(function, "__qualname__", "")
        }
        names = {id(function): name for name, function, _ in wrapped}
        for place, of, undo in copies.exchange(functions, self._packages) if functions else ():
            self.patched[names[of]].append(place)
            self._undo.append(undo)

    def look(self) -> None:
        """Find who else took a function that had been there before us: its calls are not seen."""
        looked_for, self._not_looked_for = self._not_looked_for, []
        old = [hooked for hooked in (ref() for ref in _left) if hooked is not None]
        try:
            held = copies.holders([*(function for _, function, _ in looked_for), *old], _ours)
        except Exception as exc:
            notices.swallowed("look for copies", exc)
            return
        for name, function, _ in looked_for:
            kept = [one for one in old if one.__wrapped__ is function]
            found = {words for one in (function, *kept) for words in held.get(id(one), ())}
            self.unreached[name] = sorted({*self.unreached[name], *found})

    def take_back(self) -> list[str]:
        """Let the names stand for the functions again; returns who still holds a wrapper."""
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        wrapped, self._wrapped, self._not_looked_for = self._wrapped, [], []
        copies.give_back({id(hooked): f for _, f, hooked in wrapped}, self._packages)
        left = copies.holders([hooked for _, _, hooked in wrapped], _ours)
        _left[:] = [ref for ref in _left if ref() is not None]
        _left.extend(weakref.ref(hooked) for _, _, hooked in wrapped if left[id(hooked)])
        return sorted({words for found in left.values() for words in found})


def _ours(words: str) -> bool:
    """Whether what holds a function is ourselves."""
    return "gentrace.runtime." in words or "wrapt." in words
