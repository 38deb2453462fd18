"""TOML tables read into frozen dataclasses: each key checked, each mistake said with its place.

What the tables mean is for :mod:`gentrace.core.profile`; here is only how one is read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from gentrace.core.errors import ProfileError

_PLAIN = {"str": str, "bool": bool, "int": int}


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at what was meant, for the end of a message."""
    from difflib import get_close_matches

    words = list(known)
    near = get_close_matches(word, words, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(words)}"


class Reader:
    """Reads the tables of one profile.

    Args:
        source: what messages call the profile.
        strict: a mistake raises; otherwise it becomes a warning, and what it stands in is left out.
        kinds: the dataclasses that tables may become, by name.
        roots: what a path of a ``read`` table may start with.
        reads: the keys that a ``read`` table may have.
    """

    def __init__(
        self,
        source: str,
        strict: bool,
        kinds: Mapping[str, type[Any]],
        roots: Iterable[str],
        reads: Iterable[str],
    ) -> None:
        self.source, self.strict, self.kinds = source, strict, kinds
        self.roots, self.reads = tuple(roots), tuple(reads)
        self.warnings: list[str] = []

    def fault(self, where: str, what: str) -> None:
        """Raise, or keep it as a warning."""
        if self.strict:
            raise self.error(where, what)
        self.warnings.append(str(self.error(where, what)))

    def error(self, where: str, what: str) -> ProfileError:
        """The mistake as an exception."""
        return ProfileError(f"profile {self.source}: {where}: {what}")

    def build(self, kind: type[Any], table: Any, where: str) -> Any:
        """A ``kind`` from a TOML table; unknown and missing keys are faults."""
        if not isinstance(table, dict):
            raise self.error(where, "a table was expected")
        known = {f.name: str(f.type) for f in fields(kind)}
        values: dict[str, Any] = {}
        for key, value in table.items():  # pyright: ignore[reportUnknownVariableType]
            if key not in known:
                self.fault(where, f"unknown key {key!r}{nearest(str(key), known)}")
                continue
            converted = self.convert(known[str(key)], value, f"{where}.{key}")
            if converted is not None:
                values[str(key)] = converted
        missing = [name for name in _required(kind) if name not in values]
        if missing:
            raise self.error(where, f"missing {', '.join(map(repr, missing))}")
        return kind(**values)

    def convert(self, wanted: str, value: Any, where: str) -> Any:
        """The value as the field's type wants it; None where it was a mistake."""
        if wanted in self.kinds:
            return self.build(self.kinds[wanted], value, where)
        listed = wanted.removeprefix("tuple[").removesuffix(", ...]")
        if listed in self.kinds:
            return self.listed(self.kinds[listed], value, where)
        if wanted == "tuple[str, ...]":
            return self.words(value, where)
        if wanted == "Mapping[str, tuple[str, ...]]":
            return self.paths(value, where)
        if wanted == "Mapping[str, float]":
            return self.seconds(value, where)
        if type(value) is not _PLAIN[wanted]:
            self.fault(where, f"{wanted} was expected, found {_shown(value)}")
            return None
        return value

    def listed(self, kind: type[Any], value: Any, where: str) -> tuple[Any, ...]:
        """Every entry of a ``[[…]]``; without ``strict`` one that cannot be used is left out."""
        if not isinstance(value, list):
            raise self.error(where, f"[[{where.partition('.')[2] or where}]] was expected")
        found: list[Any] = []
        for index, entry in enumerate(value):  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
            try:
                found.append(self.build(kind, entry, _label(where, entry, index)))
            except ProfileError as exc:
                if self.strict:
                    raise
                self.warnings.append(str(exc))
        return tuple(found)

    def words(self, value: Any, where: str) -> tuple[str, ...] | None:
        """A list of strings; one alone will do."""
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list) and all(isinstance(v, str) for v in value):  # pyright: ignore[reportUnknownVariableType]
            return tuple(value)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        self.fault(where, f"a list of strings was expected, found {_shown(value)}")
        return None

    def seconds(self, value: Any, where: str) -> dict[str, float]:
        """A table of durations in seconds."""
        if not isinstance(value, dict):
            raise self.error(where, "a table was expected")
        table: dict[str, float] = {}
        for key, number in value.items():  # pyright: ignore[reportUnknownVariableType]
            told = isinstance(number, int | float) and not isinstance(number, bool)
            if told and 0 <= number <= sys.float_info.max:
                table[str(key)] = float(number)  # pyright: ignore[reportUnknownArgumentType]
            else:
                self.fault(f"{where}.{key}", f"seconds were expected, found {_shown(number)}")
        return table

    def paths(self, value: Any, where: str) -> dict[str, tuple[str, ...]]:
        """A ``read`` table: what is read, and by which paths."""
        if not isinstance(value, dict):
            raise self.error(where, "a table was expected")
        read: dict[str, tuple[str, ...]] = {}
        for key, given in value.items():  # pyright: ignore[reportUnknownVariableType]
            if key not in self.reads:
                self.fault(where, f"unknown key {key!r}{nearest(str(key), self.reads)}")
                continue
            found = self.words(given, f"{where}.{key}") or ()
            for path in found:
                if path.partition(".")[0] not in self.roots and not path.startswith("="):
                    roots = ", ".join(self.roots)
                    self.fault(f"{where}.{key}", f"path {path!r} must start with one of {roots}")
            read[str(key)] = found  # pyright: ignore[reportUnknownArgumentType]
        return read


def _required(kind: type[Any]) -> list[str]:
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


def _label(where: str, entry: Any, index: int) -> str:
    where = where.removeprefix("profile.")
    name = entry.get("name") if isinstance(entry, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    return f"{where}[{name}]" if isinstance(name, str) else f"{where}[{index}]"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
