"""Resolves a profile's targets in a checkout, from its source alone.

A target that is optional and nowhere is absent, which is normal; a required one is missing.
Patching the same targets in a running process is the runtime's business.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from gentrace.core import checkout as checkouts
from gentrace.core.checkout import Checkout
from gentrace.core.profile import Profile, Target
from gentrace.core.source_tree import Definition, Function, SourceTree

RESOLVED, ABSENT, MISSING = "resolved", "absent", "missing"


@dataclass(frozen=True, slots=True)
class Method:
    """A method that an adapter's patterns match; ``owner`` is the class that defines it."""

    name: str
    owner: str
    file: Path
    line: int
    is_async: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of one target.

    Attributes:
        state: resolved, absent or missing.
        spelling: ``module:qualname`` of the spelling that was found.
        file: where it is defined; None unless resolved.
        line: from 1; 0 unless resolved.
        kind: class, async function, function or value.
        notes: what is worth knowing and no fault.
        problems: what keeps the target from working.
        reason: why it is not there: not yet, named nowhere, or named elsewhere.
        expected: it is optional, but the revision is of the time that had it.
    """

    target: Target
    state: str
    spelling: str = ""
    file: Path | None = None
    line: int = 0
    kind: str = ""
    methods: tuple[Method, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    reason: str = ""
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Inspection:
    """A checkout and every target in it; ``unreadable`` files are no Python to this interpreter."""

    checkout: Checkout
    resolved: tuple[Resolved, ...]
    tree: SourceTree

    @property
    def unreadable(self) -> Mapping[Path, str]:
        """What is no Python, each with the reason."""
        return self.tree.unreadable


def resolve(profile: Profile, path: Path) -> list[Resolved]:
    """Every target of the profile, as the checkout at ``path`` has it.

    Raises:
        UsageError: as :func:`inspect`.
    """
    return list(inspect(profile, str(path)).resolved)


def inspect(profile: Profile, host: str) -> Inspection:
    """The checkout that ``host`` names (a folder, or ``LABEL=FOLDER``) and the targets in it.

    Raises:
        UsageError: there is no such folder, none of the profile's packages is in it, or they are
            in it more than once.
    """
    checkout = checkouts.find(host, profile.packages, profile.name)
    tree = SourceTree([checkout.root])
    found = [_resolve(tree, checkout, profile, target) for target in profile.targets]
    gone = [r for r in found if r.state != RESOLVED and not r.reason]
    places = checkouts.mentions(checkout, (word for r in gone for word in _words(r.target)))
    explained = [_explained(r, checkout, places) if r in gone else r for r in found]
    return Inspection(checkout, tuple(explained), tree)


def _words(target: Target) -> list[str]:
    """The names in a target's spellings: classes, functions and methods, but no modules."""
    names = (part for at in target.at for part in at.rpartition(":")[2].split("."))
    return list(dict.fromkeys(names))


def _last(target: Target) -> list[str]:
    """The last name of each spelling, which would outlive a move."""
    return list(dict.fromkeys(at.rpartition(":")[2].rpartition(".")[2] for at in target.at))


def _explained(r: Resolved, checkout: Checkout, places: Mapping[str, tuple[Path, int]]) -> Resolved:
    """Why it is not there, as far as the revision's day and the checkout's words tell."""
    target, day = r.target, checkout.day
    early = bool(day and target.since and day < target.since)
    late = bool(day and target.until and day > target.until)
    when = [f"comes with {target.since}"] if early else []
    when += [f"gone since {target.until}"] if late else []
    nowhere = ", ".join(word for word in _words(target) if word not in places)
    where = [f"{nowhere}: nowhere in this checkout"] if nowhere else []
    where += [
        f"{word} stands at {checkout.shown(places[word][0])}:{places[word][1]}"
        for word in _last(target)
        if word in places
    ]
    expected = bool(day and target.since) and not when
    return replace(r, reason="; ".join([*when, *where]), expected=expected)


def _resolve(tree: SourceTree, checkout: Checkout, profile: Profile, target: Target) -> Resolved:
    if not target.at:
        return Resolved(target, ABSENT, reason="switched off by the profile")
    spellings = target.spellings(profile.packages)
    if not any(spelling.startswith(".") for spelling in target.at) and not any(
        tree.file(module) for module, _ in spellings
    ):
        return _library(target, spellings)
    passed_on: Resolved | None = None
    for module, qualname in spellings:
        found = tree.find(module, qualname)
        if found is None:
            continue
        resolved = _found(tree, target, f"{module}:{qualname}", found)
        if not found.via:
            return resolved
        # Only imported there: a spelling of the defining module is better, if there is one.
        note = f"{found.via[-1]} only imports it from {found.module}"
        passed_on = passed_on or replace(resolved, notes=(note, *resolved.notes))
    if passed_on is not None:
        return passed_on
    why = tuple(_why_not(tree, checkout, spellings))
    return Resolved(target, ABSENT if target.optional else MISSING, notes=why)


def _library(target: Target, spellings: Sequence[tuple[str, str]]) -> Resolved:
    """A target in a library: looked for beside this interpreter, never a fault of the checkout."""
    tree = SourceTree([Path(entry) for entry in sys.path if entry])
    for module, qualname in spellings:
        found = tree.find(module, qualname)
        if found is not None:
            resolved = _found(tree, target, f"{module}:{qualname}", found)
            note = "a library, found beside this interpreter and not in the checkout"
            return replace(resolved, notes=(note, *resolved.notes))
    return Resolved(target, ABSENT, reason="a library, not installed beside this interpreter")


def _why_not(
    tree: SourceTree, checkout: Checkout, spellings: Iterable[tuple[str, str]]
) -> Iterable[str]:
    for module, qualname in spellings:
        path = tree.file(module)
        if path is not None:
            file, broken = checkout.shown(path), tree.unreadable.get(path)
            yield f"{file} cannot be parsed: {broken}" if broken else f"{file} has no {qualname}"


def _found(tree: SourceTree, target: Target, spelling: str, found: Definition) -> Resolved:
    notes: list[str] = []
    problems: list[str] = []
    methods: list[Method] = []
    cls, _, member = spelling.partition(":")[2].rpartition(".")
    if cls and isinstance(found.node, ast.FunctionDef | ast.AsyncFunctionDef):
        holder = tree.find(spelling.partition(":")[0], cls)
        if holder is not None and holder.file != found.file:
            notes.append(f"{cls} has {member} from {found.module}")
    if target.methods:
        if isinstance(found.node, ast.ClassDef):
            methods = list(_methods(tree, target, found))
        if not methods:
            problems.append(f"no method of {found.name} is like {', '.join(target.methods)}")
    elif isinstance(found.node, ast.FunctionDef | ast.AsyncFunctionDef):
        problems += _unreadable_arguments(target, found.node)
    kinds = {"ClassDef": "class", "AsyncFunctionDef": "async function", "FunctionDef": "function"}
    kind = kinds.get(type(found.node).__name__, "value")
    return Resolved(
        target, RESOLVED, spelling, found.file, found.line, kind, tuple(methods), tuple(notes),
        tuple(problems),
    )  # fmt: skip


def _methods(tree: SourceTree, target: Target, cls: Definition) -> Iterable[Method]:
    owners = {
        id(node): owner.name
        for owner in tree.bases(cls)
        if isinstance(owner.node, ast.ClassDef)
        for node in ast.walk(owner.node)
    }
    for found in tree.methods(cls):
        if not isinstance(found.node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if any(fnmatchcase(found.name, pattern) for pattern in target.methods):
            owner = owners.get(id(found.node), cls.name)
            yield Method(found.name, owner, found.file, found.line, found.is_async)


def _unreadable_arguments(target: Target, function: Function) -> Iterable[str]:
    """What is read from arguments of which the function has none, by no alternative."""
    arguments = function.args
    if arguments.kwarg is not None:
        return
    known = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    for key, paths in target.read.items():
        asked = [path.split(".")[1] for path in paths if path.startswith("args.")]
        if asked and len(asked) == len(paths) and not known.intersection(asked):
            yield (
                f"{key} is read from {' or '.join(paths)}, but {function.name}"
                f"({', '.join(a.arg for a in arguments.args)}, …) has no such argument"
            )
