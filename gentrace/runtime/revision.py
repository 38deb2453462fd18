"""The git revision of a checkout, read from its files: no git program, nothing run."""

from __future__ import annotations

from pathlib import Path


def revision(inside: str | None) -> str | None:
    """The commit (40 hex digits) checked out around that file, or None outside a checkout."""
    if not inside:
        return None
    try:
        for folder in Path(inside).resolve().parents:
            git = folder / ".git"
            if git.exists():
                return _head(_git_folder(git))
    except (OSError, UnicodeDecodeError, IndexError):
        return None
    return None


def _git_folder(git: Path) -> Path:
    """``.git`` itself, or where a linked work tree's ``.git`` file points."""
    if git.is_dir():
        return git
    pointed = git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
    return (git.parent / pointed).resolve()


def _head(git: Path) -> str | None:
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return head
    name = head[4:].strip()
    common = git / "commondir"
    shared = (git / common.read_text(encoding="utf-8").strip()) if common.exists() else git
    for folder in (git, shared):
        ref = folder / name
        if ref.exists():
            return ref.read_text(encoding="utf-8").strip()
    packed = (shared / "packed-refs").read_text(encoding="utf-8").splitlines()
    return next((line.split()[0] for line in packed if line.endswith(" " + name)), None)
