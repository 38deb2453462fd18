"""What of a text must not be shown, in whatever form it shows: stretches of the text itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from gentrace.core.scrub.forms import Form, forms
from gentrace.core.scrub.keys import digests, keys, keys_in_words
from gentrace.core.scrub.named import addresses, named
from gentrace.core.scrub.prompts import Prompts

_LONGEST_KEPT = 200
# What an address, a URL, an assignment and an escape have, and an id or a name has not.
_SIGN = re.compile(r"[@＠%+\\=:<>?\"'\s]")
_SMALL = str.maketrans({chr(n): chr(n + 32) for n in range(ord("A"), ord("Z") + 1)})


class Find(NamedTuple):
    """A stretch of a text, what kind of secret it shows, and how that reads."""

    start: int
    end: int
    kind: str
    shown: str


def finds(text: str, prompts: Prompts | None, words: bool = True) -> list[Find]:
    """What must be taken out of a text: in order, and apart from each other.

    Args:
        words: it is more than an id, in which a long hexadecimal number would be one.
    """
    found: list[Find] = []
    if len(text) > _LONGEST_KEPT or not _harmless(text, words):
        found = _secrets(text, words)
    if prompts is not None:
        found = found + [
            _find(form, start, end, "prompt")
            for form in forms(text)
            for start, end in prompts.found(form.text)
        ]
    return _apart(text, found) if found else found


def shows_secret(value: str) -> bool:
    """Whether an id or a name is, or holds, what must not be shown."""
    return bool(_secrets(value, words=False))


@lru_cache(maxsize=4096)
def _harmless(text: str, words: bool) -> bool:
    """Whether no secret is in it: the same ids and names come again and again."""
    return not _secrets(text, words)


def _secrets(text: str, words: bool) -> list[Find]:
    if not _SIGN.search(text):
        form = Form(text)
        return [_find(form, *each) for each in keys(text)] + (
            [_find(form, *each) for each in digests(text)] if words else []
        )
    found: list[Find] = []
    for form in forms(text):
        read = form.text
        lowered = read.lower()
        if len(lowered) != len(read):
            lowered = read.translate(_SMALL)
        for rule in (addresses(read), keys(read), named(lowered), keys_in_words(read, lowered)):
            found += [_find(form, *each) for each in rule]
        if words:
            found += [_find(form, *each) for each in digests(read)]
    return found


def _find(form: Form, start: int, end: int, kind: str) -> Find:
    return Find(*form.stretch(start, end), kind, form.text[start:end])


def _apart(text: str, found: Iterable[Find]) -> list[Find]:
    """Those that overlap become one, which is called after the longest of them."""
    apart: list[Find] = []
    for find in sorted(found, key=lambda each: (each.start, -each.end)):
        last = apart[-1] if apart else None
        if last is None or find.start >= last.end:
            apart.append(find)
            continue
        if find.end <= last.end:
            continue
        longest = max(last, find, key=lambda each: each.end - each.start)
        apart[-1] = Find(last.start, find.end, longest.kind, text[last.start : find.end])
    return apart
