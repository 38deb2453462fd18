"""The git revision of a checkout, read from its files: no git program, nothing run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gentrace.core import regular_files


@dataclass(frozen=True, slots=True)
class Checkout:
    """A work tree and the git folder that belongs to it."""

    root: Path
    git: Path

    @property
    def shared(self) -> Path:
        """The folder that all work trees share: refs and configuration."""
        common = self.git / "commondir"
        if not common.exists():
            return self.git
        return self.git / regular_files.read_text(common).strip()


def checkout(inside: str | None) -> Checkout | None:
    """The checkout around that file, or None."""
    if not inside:
        return None
    try:
        for folder in Path(inside).resolve().parents:
            git = folder / ".git"
            if git.exists():
                return Checkout(folder, _git_folder(git))
    except (OSError, UnicodeDecodeError):
        return None
    return None


def revision(inside: str | None) -> str | None:
    """The commit (40 hex digits) checked out around that file, or None outside a checkout."""
    found = checkout(inside)
    if found is None:
        return None
    try:
        return _head(found)
    except (OSError, UnicodeDecodeError, IndexError):
        return None


def _git_folder(git: Path) -> Path:
    """``.git`` itself, or where a linked work tree's ``.git`` file points."""
    if git.is_dir():
        return git
    pointed = regular_files.read_text(git).partition("gitdir:")[2].strip()
    return (git.parent / pointed).resolve()


def _head(found: Checkout) -> str | None:
    head = regular_files.read_text(found.git / "HEAD").strip()
    if not head.startswith("ref:"):
        return head
    name, shared = head[4:].strip(), found.shared
    for folder in (found.git, shared):
        ref = folder / name
        if ref.exists():
            return regular_files.read_text(ref).strip()
    packed = regular_files.read_text(shared / "packed-refs", regular_files.LARGE).splitlines()
    return next((line.split()[0] for line in packed if line.endswith(" " + name)), None)
