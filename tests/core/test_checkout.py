"""Which folder a user means by ``--host``, and what is said where that is not clear."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gentrace.core import checkout
from gentrace.core.errors import UsageError

PACKAGES = ("app.main", "old_app")
PATH = os.environ.get("PATH", "")


def host(folder: Path, package: str = "app/main", text: str = "def f(): ...\n") -> Path:
    """A checkout in that folder."""
    (folder / package).mkdir(parents=True)
    (folder / package / "m.py").write_text(text)
    return folder


def find(text: str | Path) -> checkout.Checkout:
    return checkout.find(str(text), PACKAGES, "shop")


@pytest.mark.parametrize("below", ["", "app", "app/main", "app/main/sub"])
def test_the_root_is_found_from_anywhere_in_it(tmp_path: Path, below: str) -> None:
    (host(tmp_path / "c") / "app" / "main" / "sub").mkdir()
    found = find(tmp_path / "c" / below)
    assert (found.root, found.packages, found.day) == (tmp_path / "c", ("app.main",), "")
    assert found.label == "c"


def test_one_checkout_below_is_taken_and_several_are_named(tmp_path: Path) -> None:
    one = host(tmp_path / "x" / "one")
    host(one / "vendored" / "copy")  # within the first, which is the outermost
    host(tmp_path / "x" / ".hidden")
    host(tmp_path / "x" / "node_modules")
    assert find(tmp_path / "x").root == one
    two = host(tmp_path / "x" / "two", "old_app")
    with pytest.raises(UsageError) as caught:
        find(tmp_path / "x")
    assert f"several checkouts lie below it ({one}, {two})" in str(caught.value)
    assert find(two).packages == ("old_app",)


def test_both_packages_in_one_checkout(tmp_path: Path) -> None:
    host(tmp_path)
    host(tmp_path, "old_app")
    assert find(tmp_path).packages == PACKAGES


@pytest.mark.parametrize(
    ("text", "label", "day"),
    [
        ("{}", "c", ""),
        ("S2 abc 2025-12-05={}", "S2 abc 2025-12-05", "2025-12-05"),
        ("v1={}", "v1", ""),
        ("={}", "c", ""),
    ],
)
def test_labels(tmp_path: Path, text: str, label: str, day: str) -> None:
    found = find(text.format(host(tmp_path / "c")))
    assert (found.label, found.day, found.root) == (label, day, tmp_path / "c")


def test_a_folder_with_an_equals_sign_is_no_label(tmp_path: Path) -> None:
    assert find(host(tmp_path / "a=b")).label == "a=b"


def test_the_revision_is_git_s(tmp_path: Path) -> None:
    host(tmp_path)
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    day = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "x"]):
        subprocess.run(
            ["git", "-C", str(tmp_path), *command], check=True, env={**day, "PATH": PATH}
        )
    found = find(tmp_path)
    assert found.day == "2026-01-02"
    assert found.label.endswith(" 2026-01-02")
    assert len(found.label.split()[0]) >= 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no folder is named"),
        (" ", "no folder is named"),
        ("label=", "no folder is named"),
        ("nowhere", "no such folder"),
        ("label=nowhere", "no such folder"),
        ("app/main/m.py", "is a file"),
        ("x\0y", "cannot be read"),
        ("n" * 5000, "cannot be read: File name too long"),
        ("app=/", "looks for app/main or old_app there"),
    ],
)
def test_what_is_no_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(host(tmp_path))
    monkeypatch.setattr(checkout, "_DEPTH", 1)  # "/" is not to be searched
    with pytest.raises(UsageError) as caught:
        find(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith("--host")


def test_where_words_stand(tmp_path: Path) -> None:
    host(tmp_path, text="# one\ndef one_two(): ...\n\nx = one  # caf\u00e9\n")
    (tmp_path / "app" / "main" / "a.py").write_bytes(b"two = 1 \xff\n")
    found = checkout.mentions(find(tmp_path), ["one", "two", "three"])
    assert {word: (file.name, line) for word, (file, line) in found.items()} == {
        "one": ("m.py", 1),
        "two": ("a.py", 1),
    }
