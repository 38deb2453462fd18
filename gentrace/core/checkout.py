"""A checkout of the host: which folder below a path it is, its revision, and its words.

Nothing of it is imported or run; git is asked for the revision where there is a repository.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gentrace.core.errors import UsageError

_DEPTH = 4
_SKIPPED = frozenset({"node_modules", "site-packages", "venv", "env", "dist", "build", "data"})
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b")


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where the host's source is.

    Attributes:
        root: the folder that its packages stand in.
        packages: those of the profile's packages that are there, in the profile's order.
        label: what pages call it: what the user said, else revision and day, else the folder's.
        day: ISO date of the revision; empty where it is not known.
    """

    root: Path
    packages: tuple[str, ...]
    label: str
    day: str = ""

    def files(self) -> Iterator[Path]:
        """Every Python file of the packages, in order."""
        for package in self.packages:
            yield from sorted(self.root.joinpath(*package.split(".")).rglob("*.py"))

    def shown(self, file: Path) -> str:
        """The file's path below the root, with forward slashes, for pages and messages."""
        inside = file.is_relative_to(self.root)
        return (file.relative_to(self.root) if inside else file).as_posix()


def find(text: str, packages: Sequence[str], profile: str) -> Checkout:
    """The checkout that a user named: a folder in, above or around it, or ``LABEL=FOLDER``.

    Raises:
        UsageError: there is no such folder, no host in it, or more than one.
    """
    label, path = _split(text)
    roots = _roots(path, packages)
    if not roots:
        wanted = " or ".join(package.replace(".", "/") for package in packages)
        raise UsageError(
            f"--host {path}: the profile {profile} looks for {wanted} there, and neither the "
            "folder nor what lies below has it; is this the checkout's root?"
        )
    if len(roots) > 1:
        listed = ", ".join(str(root) for root in roots[:5]) + ", …" * (len(roots) > 5)
        raise UsageError(
            f"--host {path}: several checkouts lie below it ({listed}); name the one that is meant"
        )
    (root,) = roots
    there = tuple(p for p in packages if root.joinpath(*p.split(".")).is_dir())
    if label:
        day = _DAY.search(label)
        return Checkout(root, there, label, day.group() if day else "")
    revision, day = _revision(root)
    return Checkout(root, there, f"{revision} {day}".strip() or root.name, day)


def _split(text: str) -> tuple[str, Path]:
    """The label, if any, and the folder, of which is known that it can be read."""
    label, equals, rest = text.partition("=")
    if not equals or os.path.exists(text):
        label, rest = "", text
    if not rest.strip():
        raise UsageError("--host: no folder is named; give the root of the host's checkout")
    path = Path(rest).expanduser().absolute()
    try:
        os.listdir(path)
    except NotADirectoryError:
        why = "is a file"
    except FileNotFoundError:
        why = "no such folder"
    except (OSError, ValueError) as exc:
        why = f"cannot be read: {getattr(exc, 'strerror', None) or exc}"
    else:
        return label.strip(), path
    raise UsageError(f"--host {path}: {why}; give the root of the host's checkout")


def _roots(path: Path, packages: Sequence[str]) -> list[Path]:
    """The folder that has a package: the path itself, else the outermost below, else above it."""
    heads = [package.split(".") for package in packages]

    def has(folder: Path) -> bool:
        return any(folder.joinpath(*parts).is_dir() for parts in heads)

    if has(path):
        return [path]
    below = [folder for folder in _folders(path) if has(folder)]
    outermost = [f for f in below if not any(other in f.parents for other in below)]
    return outermost or [folder for folder in path.parents[:8] if has(folder)][:1]


def _folders(path: Path) -> Iterator[Path]:
    """Folders at most four deep, level by level, past hidden ones and those of dependencies."""
    level = [path]
    for _ in range(_DEPTH):
        below: list[Path] = []
        for folder in level:
            yield folder
            try:
                with os.scandir(folder) as entries:
                    below += sorted(
                        folder / entry.name
                        for entry in entries
                        if entry.is_dir(follow_symlinks=False)
                        and not entry.name.startswith(".")
                        and entry.name not in _SKIPPED
                    )
            except OSError:
                continue
        level = below


def _revision(root: Path) -> tuple[str, str]:
    """Short revision and day by git; empty where there is no repository or no git."""
    command = ["git", "-C", str(root), "log", "-1", "--format=%h %cs"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return "", ""
    revision, _, day = done.stdout.strip().partition(" ")
    return (revision, day) if done.returncode == 0 else ("", "")


def mentions(checkout: Checkout, words: Iterable[str]) -> dict[str, tuple[Path, int]]:
    """Where each word stands first in the checkout, as file and line; only those that do."""
    wanted = sorted(set(words))
    found: dict[str, tuple[Path, int]] = {}
    if not wanted:
        return found
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, wanted))})\b")
    for file in checkout.files():
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for match in pattern.finditer(text):
            if match.group() not in found:
                found[match.group()] = (file, text.count("\n", 0, match.start()) + 1)
    return found
