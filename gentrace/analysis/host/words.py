"""The words of a profile that are no targets: statuses, exceptions, packages, log events."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from gentrace.analysis.host import models
from gentrace.analysis.host.text import HostText, meant, nearest
from gentrace.analysis.problem import Problem
from gentrace.core.profile import SETTLE_S, Profile, Statuses
from gentrace.core.targets import RESOLVED, Inspection

_SURE, _ALMOST = 0.75, 0.88
_FINALS = ("completed", "failed", "cancelled")


def word_problems(
    profile: Profile, found: Inspection, host: HostText, place: str
) -> Iterator[Problem]:
    """What of these is nowhere in the host."""
    yield from _statuses(profile, _status_words(found, host), host, place)
    strings = partial(_strings, host)
    remark = partial(_nowhere, host, place)
    unsaid = Profile(profile.name, profile.packages, ())
    for key, given, default in (
        ("provider_pending", profile.provider_pending, unsaid.provider_pending),
        ("waits.held", profile.waits.held, unsaid.waits.held),
        ("waits.unchanged", profile.waits.unchanged, unsaid.waits.unchanged),
        ("errors.code", profile.errors.code, unsaid.errors.code),
        ("redis_url_env", profile.redis_url_env, unsaid.redis_url_env),
        ("logs.id", profile.logs.id, unsaid.logs.id),
    ):
        if given != default:
            yield from remark(key, given, strings)
    yield from remark("errors.messages", profile.errors.messages, partial(_exceptions, host), True)
    for sdk in profile.sdks:
        yield from remark(f"sdks[{sdk.module}]", [sdk.module], partial(_imported, host))
    names = [name for event in profile.log_events for name in event.names if not event.text]
    absent = [name for name in names if not host.says(name)]
    listed = strings() if absent else set[str]()
    for name in absent:
        near = nearest(name, (each for each in listed if each[:1] == name[:1]), _ALMOST)
        if near and near not in names:
            yield _remark("log_events.names", name, f"; did you mean {near!r}?", place)


def _status_words(found: Inspection, host: HostText) -> set[str]:
    """The words of the model's status, in lower case; empty where its type does not tell them."""
    for r in found.resolved:
        paths = r.target.read.get("status", ())
        if r.state != RESOLVED or r.target.role != "model" or not paths:
            continue
        module, _, qualname = r.spelling.partition(":")
        cls = host.tree.find(module, qualname)
        if cls is None:
            continue
        for path in paths:
            if path.startswith("self.") and (known := models.words(host, cls, path.split(".")[1])):
                return known
    return set()


def _statuses(profile: Profile, known: set[str], host: HostText, place: str) -> Iterator[Problem]:
    """Whether the host has the final words; a list of which it has none makes runs without end."""

    def there(word: str) -> bool:
        return word in known if known else host.says(word)

    said = profile.statuses
    if said == Statuses() and not known:
        return
    lists = {name: getattr(said, name) for name in (*_FINALS, "held")}
    lists["final"] = tuple(w for w in said.final if not any(w in words for words in lists.values()))
    given = {word for words in lists.values() for word in words}
    for name, listed in lists.items():
        absent = [word for word in listed if not there(word)]
        for word in absent:
            near = nearest(word, known - given, _SURE)
            none = len(absent) == len(listed) and name in ("completed", "failed")
            if not near and not none:
                continue
            told = f"; did you mean {near!r}?" if near else meant(word, known - given)
            yield Problem(
                "status_missing",
                f"statuses.{name}: no status of this host is {word!r}{told}",
                f"give the host's own word in {place}; a run that ends otherwise has no end",
                serious=name != "held",
            )
    for word in said.settle_s:
        if word not in said.final and word not in SETTLE_S:
            hint = meant(word, {*said.final, *SETTLE_S})
            yield _remark("statuses.settle_s", word, hint, place, "no final word of this profile")


def _nowhere(
    host: HostText,
    place: str,
    key: str,
    words: Sequence[str],
    known: Callable[[], set[str]],
    each: bool = False,
) -> Iterator[Problem]:
    """A remark on words that are nowhere in the host: on all of a list of which none is there.

    Args:
        known: gives what there is.
        each: the words are no alternatives: one that is nearly one of the host's is named, too.
    """
    absent = [word for word in words if not host.says(word)]
    if not absent or not (each or len(absent) == len(words)):
        return
    there = known()
    for word in absent:
        near = nearest(word, there, _ALMOST)
        if (near and near not in words) or not each:
            told = f"; did you mean {near!r}?" if near else ""
            yield _remark(key, word, told, place)


def _remark(
    key: str, word: str, hint: str, place: str, what: str = "nowhere in this host"
) -> Problem:
    return Problem(
        "word_missing",
        f"{key}: {word!r} is {what}{hint}",
        f"spell it as the host does, in {place}, or leave it out",
        serious=False,
    )


def _strings(host: HostText) -> set[str]:
    """The short texts and names in the host's code."""
    found: set[str] = set()
    for source in host.parsed(""):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if len(node.value) <= 60:
                    found.add(node.value)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Name):
                found.add(node.id)
    return found


def _exceptions(host: HostText) -> set[str]:
    """The classes that may be exceptions, defined or imported."""
    return set(_ended(_names(host, classes=True), ("Error", "Exception", "Refused", "Warning")))


def _ended(names: Iterable[str], ends: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if name.endswith(ends))


def _imported(host: HostText) -> set[str]:
    """The first parts of what the host imports."""
    return {name.partition(".")[0] for name in _names(host, classes=False)}


def _names(host: HostText, *, classes: bool) -> Iterator[str]:
    """Names of classes and of what is imported; or of the modules that it is imported from."""
    for source in host.parsed(""):
        for node in ast.walk(source.tree):
            if classes and isinstance(node, ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.ImportFrom):
                yield from (a.name for a in node.names) if classes else [node.module or ""]
            elif isinstance(node, ast.Import) and not classes:
                yield from (alias.name for alias in node.names)
