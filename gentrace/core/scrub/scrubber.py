"""Decides for each attribute and text what leaves, and puts marks in the place of the rest.

A mark is ``<kind:length:hash8>`` with a keyed hash, so that equal secrets still look equal.
Scrubbing what was scrubbed changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gentrace.core import names, sql_text
from gentrace.core.scrub import allowed
from gentrace.core.scrub.finds import finds
from gentrace.core.scrub.forms import MARK
from gentrace.core.scrub.named import is_secret
from gentrace.core.scrub.prompts import Prompts, known

# What a database error ends with: the statement, its parameters, SQLAlchemy's link, the row.
_SQL_SIGNS = ("[SQL:", "[parameters:", "(Background on this error at:", "DETAIL:  Key (")
_MAX_TEXT = 400
_MAX_INPUT = 2_000
_CUT_WORD = 300  # the last word before the cut may be half a secret
_LONGEST_MARK = 40
_ROUNDS = 4
_MAX_KEPT = 512
_MAX_COMMON = 1024
_LONGEST_KEPT = 200
_TRIAL_PROMPT = "a canary that sings"
_TRIAL = f"{_TRIAL_PROMPT} to someone@example.org"


class Scrubber:
    """Takes private text out, with the installation's key.

    Args:
        key: the HMAC key, or what gives it when it is first needed; equal texts give equal
            marks under one key.
        events: the fields that may stand on an event, by its name.
    """

    def __init__(
        self,
        key: bytes | Callable[[], bytes],
        events: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._key, self._events = key, events or {}
        self._works: bool | None = None
        self._passed: set[str] = set()
        self._passed_texts: set[str] = set()
        self._changed: dict[tuple[Any, ...], str] = {}
        self._common = set(allowed.OWN_WORDS)

    def works(self) -> bool:
        """Whether it takes out what it should, tried once: only then it may vouch for texts."""
        if self._works is None:
            left = self.text(_TRIAL, [_TRIAL_PROMPT])
            self._works = _TRIAL_PROMPT not in left and "@" not in left
        return self._works

    def mark(self, kind: str, text: str) -> str:
        """``<kind:length:hash8>`` for a text that must not be shown."""
        if not isinstance(self._key, bytes):
            self._key = self._key()
        digest = hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256)
        return f"<{kind}:{len(text)}:{digest.hexdigest()[:8]}>"

    def text(self, text: str, prompts: Iterable[str] = ()) -> str:
        """A message without e-mails, secrets, URL queries and parts of the prompts."""
        parts = known(tuple(prompts)) if prompts else None
        passed = self._passed_texts if parts is None else parts.passed_texts
        if text in passed:
            return text
        cleaned = self._cleaned(text, parts, words=True)
        if cleaned == text:
            _remember(passed, text)
        return cleaned

    def line(self, text: str) -> str:
        """A line that is said on stderr."""
        return self._cleaned(text, None, words=False, longest=_MAX_INPUT)

    def _cleaned(
        self, text: str, prompts: Prompts | None, words: bool, longest: int = _MAX_TEXT
    ) -> str:
        key = prompts, text, words, longest
        cleaned = self._changed.get(key)  # the same message stands on several spans
        if cleaned is None:
            cleaned = self._clean(text, prompts, words, longest)
            if cleaned != text and len(text) <= _MAX_TEXT:
                if len(self._changed) >= _MAX_KEPT:
                    self._changed.clear()
                self._changed[key] = cleaned
        return cleaned

    def _clean(self, text: str, prompts: Prompts | None, words: bool, longest: int) -> str:
        if any(sign in text for sign in _SQL_SIGNS):
            return self.mark("sql", text)  # the error's own words hold values, too
        if len(text) > _MAX_INPUT:
            text = _begun(text)
        for _ in range(_ROUNDS):
            found = finds(text, prompts, words)
            if not found and len(text) <= longest:
                return text
            before, text = text, _shortened(self._without(text, found), longest)
            if text == before:
                return text
        return self.mark("text", text)  # one that shows something new each time

    def _without(self, text: str, found: Iterable[Any]) -> str:
        pieces: list[str] = []
        done = 0
        for start, end, kind, shown in found:
            pieces += [text[done:start], self.mark(kind, shown)]
            done = end
        return "".join([*pieces, text[done:]])

    # -- attributes ------------------------------------------------------------------------
    def attribute(self, name: str, value: object, prompts: Iterable[str] = ()) -> object | None:
        """The value to export under that name, or None when it must stay.

        Own names and conventions pass, scrubbed; URLs lose their query and SQL its text.

        Args:
            prompts: of the run that it is of.
        """
        if name in allowed.CONVENTIONS or name in names.ATTRIBUTES:
            if isinstance(value, str):
                return self._value(name, value, prompts)
            if isinstance(value, list | tuple):
                return tuple(
                    self._value(name, each, prompts) if isinstance(each, str) else each
                    for each in value  # pyright: ignore[reportUnknownVariableType]
                )
            return value
        if name in allowed.URLS and isinstance(value, str):
            return self.text(allowed.without_query(value), prompts)
        if name in allowed.SQL and isinstance(value, str):
            outline = str(sql_text.outline(value))
            return self._value(name, outline, prompts) if outline else None
        return None

    def _value(self, name: str, value: str, prompts: Iterable[str]) -> str:
        if name in allowed.DIGESTS and allowed.DIGEST.fullmatch(value):
            return value
        if value in self._common and name in allowed.VOCABULARY:
            return value
        parts = known(tuple(prompts)) if prompts else None
        declared = allowed.DECLARED.get(name)
        if declared is not None and declared.fullmatch(value):
            of_prompt = parts is not None and any(parts.found(value))
            return self.mark("prompt", value) if of_prompt else value
        passed = self._passed if parts is None else parts.passed
        if value in passed:
            return value
        cleaned = self._cleaned(value, parts, words=_is_several(value))
        if cleaned == value:
            _remember(passed, value)
            if parts is not None and name in allowed.VOCABULARY and allowed.WORD.fullmatch(value):
                _remember(self._common, value, _MAX_COMMON)  # it stood where no prompt held it
        return cleaned

    def on_event(
        self, event: str, name: str, value: object, prompts: Iterable[str] = ()
    ) -> object | None:
        """As :meth:`attribute`, for an attribute of an event: the host's own have their fields."""
        if name not in self._events.get(event, ()):
            return self.attribute(name, value, prompts)
        return self.text(value, prompts) if isinstance(value, str) else value

    def of_resource(self, name: str, value: Any) -> Any:
        """The value of an attribute of the resource; whoever runs the host has named these."""
        if isinstance(value, list | tuple):
            return tuple(self.of_resource(name, each) for each in value)  # pyright: ignore
        if not isinstance(value, str):
            return value
        if value and is_secret(name) and not MARK.fullmatch(value):
            return self.mark("secret", value)
        return self._cleaned(value, None, words=_is_several(value))

    def record(self, value: Any, prompts: Iterable[str] = ()) -> Any:
        """What a process tells of itself, each text in it scrubbed, names of fields included."""
        if isinstance(value, str):
            return self._value("", value, prompts)
        if isinstance(value, Mapping):
            return {
                self.record(key, prompts): self.record(each, prompts)
                for key, each in value.items()  # pyright: ignore[reportUnknownVariableType]
            }
        if isinstance(value, list | tuple):
            return [self.record(each, prompts) for each in value]  # pyright: ignore
        return value


def _is_several(text: str) -> bool:
    """More than one word: what is one may be an id."""
    return len(text.split(None, 1)) > 1


def _remember(kept: set[str], text: str, most: int | None = None) -> None:
    """Keep it among those that need no second look: so many, or anew when there are too many."""
    if len(text) > _LONGEST_KEPT or (most is not None and len(kept) >= most):
        return
    if len(kept) >= _MAX_KEPT and most is None:
        kept.clear()
    kept.add(text)


def _begun(text: str) -> str:
    """The beginning of a long text, to the end of a word."""
    text = text[:_MAX_INPUT]
    for place in range(len(text) - 1, len(text) - _CUT_WORD, -1):
        if text[place].isspace():
            return text[:place]
    return text[:-_CUT_WORD]


def _shortened(text: str, longest: int) -> str:
    """At most so much of it as may be shown, and no part of a mark."""
    if len(text) <= longest:
        return text
    cut = longest
    for mark in MARK.finditer(text, cut - _LONGEST_MARK, cut + _LONGEST_MARK):
        if mark.start() < cut < mark.end():
            cut = mark.start()
    return text[:cut] + "…"
