"""A failure in one line: what its class leaves open, its words, HTTP status and cause tell.

Ids, numbers and hashes in the words are left out: they are another in each run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gentrace.core import names

_MOST_WORDINGS = 6
"""Failures alike in all else that are worded in more ways than this are worded for each run."""
_SCRUBBED = re.compile(r"<(\w+):\d+:[0-9a-f]{8}>")
_OF_ONE_RUN = re.compile(r"[\w.:/-]*\d[\w.:/-]*|\b[0-9a-fA-F]{8,}\b")
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Told:
    """What tells a failure from others: the host's code, types, and what the class leaves open."""

    code: str | None
    kind: str | None
    stage: str | None
    http_status: str | None = None
    cause: str | None = None
    words: str | None = None

    @property
    def type(self) -> str | None:
        """The exception's class with its module."""
        return _type(self.kind)

    def line(self, *, short: bool = False) -> str:
        """One line, with what is known: ``content_filtered ProviderError at provider``.

        One line is one fingerprint: where types of several modules share a name, it has the
        module's, and is not ``short``.
        """
        kind = _short(self.kind) if short else self.type
        told = " ".join(dict.fromkeys(part for part in (self.code, kind) if part)) or "failed"
        if self.http_status:
            told += f" HTTP {self.http_status}"
        if self.cause and self.cause != self.kind:
            told += f" from {_short(self.cause)}"
        if self.words:
            told += f" '{self.words}'"
        return f"{told} at {self.stage}" if self.stage else told


def worded(found: Sequence[Told]) -> list[Told]:
    """With their words alike but for ids and numbers; without, where the words tell runs apart."""
    alike = [replace(each, words=wording(each.words)) for each in found]
    wordings: dict[Told, set[str | None]] = {}
    for each in alike:
        wordings.setdefault(replace(each, words=None), set()).add(each.words)
    plain = [replace(each, words=None) for each in alike]
    return [
        each if len(wordings[bare]) <= _MOST_WORDINGS else bare
        for each, bare in zip(alike, plain, strict=True)
    ]


def wording(message: str | None) -> str | None:
    """A message without what is another in each run: ids, numbers, hashes, scrubbed texts."""
    if not message:
        return None
    kept = _OF_ONE_RUN.sub("#", _SCRUBBED.sub(r"<\1>", message))
    kept = " ".join(kept.split())
    return kept if len(kept) <= _LONGEST else kept[:_LONGEST].rstrip() + "…"


def _type(kind: str | None) -> str | None:
    return kind if kind != names.FAILED else None


def _short(kind: str | None) -> str | None:
    return (_type(kind) or "").rpartition(".")[2] or None
