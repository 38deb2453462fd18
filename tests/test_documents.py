"""The documents say what is there: paths exist, generated pages are current, keys are explained."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gentrace import __version__
from gentrace.core import profile
from tools import names_page

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/profile.md",
    "docs/another-host.md",
    "docs/jaeger.md",
    "docs/cost.md",
    "bench/README.md",
]
TOP = ("gentrace/", "docs/", "examples/", "tests/", "tools/", "bench/", ".ci/")


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    quotes = re.findall(r"`([^`\n]+)`", text) + re.findall(r"\]\(([^)#]+)\)", text)
    words = [word for quote in quotes for word in quote.split()]
    named = [word for word in words if word.startswith(TOP) and not set("<*") & set(word)]
    missing = [word for word in named if not (ROOT / word.rstrip(".,:;)")).exists()]
    assert not missing


def test_the_names_page_is_current() -> None:
    assert names_page.PAGE.read_text(encoding="utf-8") == names_page.page()


def test_the_changelog_names_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "kind",
    [profile.Profile, profile.Target, profile.Route, profile.Job, profile.Statuses, profile.Waits],
)
def test_every_profile_key_is_explained(kind: type) -> None:
    page = (ROOT / "docs" / "profile.md").read_text(encoding="utf-8")
    assert not [f.name for f in fields(kind) if not re.search(rf"\b{f.name}\b", page)]
