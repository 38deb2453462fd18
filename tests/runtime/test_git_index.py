"""What differs from git's index, as git itself says it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gentrace.runtime import git_index
from gentrace.runtime.revision import checkout, revision

Git = Callable[..., str]
SOMEBODY = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
FILES = ("shop/__init__.py", "shop/orders.py", "shop/deep/er/still.py", "shop/with space.py")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Runs git in a new repository, with nobody's settings."""
    env = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **dict.fromkeys(SOMEBODY, "nobody"),
    }

    def run(*words: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return done.stdout.strip()

    return run


def make(git: Git, root: Path, *options: str) -> None:
    """A repository with one commit of the files."""
    git("init", "-q", *options)
    for name in FILES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    git("add", ".")
    git("commit", "-qm", "one")


def changed(root: Path) -> list[str]:
    found = checkout(str(root / FILES[0]))
    assert found is not None
    files = git_index.changed(found, [*(root / name for name in FILES), root / "untracked.py"])
    return [path.relative_to(root).as_posix() for path in files]


@pytest.mark.parametrize("version", ["2", "3", "4"])
@pytest.mark.parametrize("options", [(), ("--object-format=sha256",)])
def test_a_change_of_content_and_nothing_else(
    git: Git, tmp_path: Path, version: str, options: tuple[str, ...]
) -> None:
    make(git, tmp_path, *options)
    git("update-index", "--index-version", version)
    (tmp_path / "untracked.py").write_text("new")
    assert changed(tmp_path) == []
    os.utime(tmp_path / FILES[1], (1, 1))  # touched
    (tmp_path / FILES[0]).write_bytes(f"# {FILES[0]}\r\n".encode())  # as git has it on Windows
    assert changed(tmp_path) == []
    (tmp_path / FILES[2]).write_text(f"! {FILES[2]}\n")  # of the same length
    (tmp_path / FILES[3]).unlink()
    assert changed(tmp_path) == [FILES[2], FILES[3]]
    (tmp_path / FILES[0]).write_text(f"# {FILES[0]}\n")
    assert git("diff", "--name-only").splitlines() == changed(tmp_path)


def test_flags_that_make_an_entry_longer(git: Git, tmp_path: Path) -> None:
    make(git, tmp_path)
    (tmp_path / "later.py").write_text("1")
    git("add", "--intent-to-add", "later.py")
    git("update-index", "--skip-worktree", FILES[1])
    (tmp_path / FILES[3]).write_text("other")
    assert changed(tmp_path) == [FILES[3]]


def test_a_linked_work_tree_has_an_index_of_its_own(git: Git, tmp_path: Path) -> None:
    make(git, tmp_path)
    linked = tmp_path / "linked"
    git("worktree", "add", "-q", str(linked))
    (linked / FILES[1]).write_text("other")
    assert changed(linked) == [FILES[1]]
    assert changed(tmp_path) == []
    assert revision(str(linked / FILES[1])) == git("rev-parse", "HEAD")


@pytest.mark.parametrize("content", [b"", b"DIRC", b"DIRC\0\0\0\x09\0\0\0\x01", b"x" * 40])
def test_an_index_that_cannot_be_read(git: Git, tmp_path: Path, content: bytes) -> None:
    import struct

    make(git, tmp_path)
    (tmp_path / ".git" / "index").write_bytes(content)
    with pytest.raises((ValueError, struct.error, IndexError)):
        changed(tmp_path)
    (tmp_path / ".git" / "index").unlink()
    with pytest.raises(OSError, match="index"):
        changed(tmp_path)


def test_outside_a_checkout(tmp_path: Path) -> None:
    path = tmp_path / "lonely.py"
    if checkout(str(path)) is None:
        assert revision(str(path)) is None
    assert checkout(None) is None
