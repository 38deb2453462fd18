"""docs/another-host.md: its steps add up to the profile, and its commands say what it says."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from gentrace.core import profile
from tests.support.print_shop import PROFILE
from tests.support.programs import ROOT, clean_environment

PAGE = ROOT / "docs" / "another-host.md"
BLOCK = re.compile(r"^```(toml|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HOST_WORDS = re.compile(r"pixsim|pixverse|\bsora\b|remaker", re.IGNORECASE)
TREE = re.compile(r"[└├] (✗ )?(POST|[a-z]+[a-z_.]*(?: process_generation)?)\b")
Spoken = list[tuple[str, str]]


def blocks() -> list[tuple[str, str]]:
    """The page's TOML and console blocks, in order."""
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def commands(console: str) -> Spoken:
    """The commands of a console block, each with what it is to say."""
    parts = re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]
    return [(command, said) for command, _, said in (part.partition("\n") for part in parts)]


def test_the_steps_add_up_to_the_profile() -> None:
    text = "\n".join(body for kind, body in blocks() if kind == "toml")
    written, _ = profile.parse(text, "the page")
    shipped, _ = profile.load(str(PROFILE))
    for name in ("targets", "jobs", "routes"):
        assert sorted(getattr(written, name), key=repr) == sorted(getattr(shipped, name), key=repr)
    for name in ("name", "packages", "redis_url_env", "statuses", "errors"):
        assert getattr(written, name) == getattr(shipped, name)


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder as the reader has it: this repository's examples, and a profile to be written."""
    for name in ("examples", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def say(command: str, folder: Path, env: dict[str, str]) -> str:
    """Run it as it stands there; what it printed."""
    whole = {**clean_environment(folder, {"PYTHONPATH": str(ROOT), "COLUMNS": "300"}), **env}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=whole,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_step_and_command_as_the_page_has_it(reader: Path) -> None:
    env: dict[str, str] = {}
    told: Spoken = []
    for kind, body in blocks():
        if kind == "toml":
            with (reader / "mine.toml").open("a", encoding="utf-8") as mine:
                mine.write(body + "\n")
            continue
        for command, expected in commands(body):
            if command.startswith("export "):
                env |= dict(pair.split("=") for pair in command.split()[1:])
                continue
            said = say(command, reader, env)
            if "doctor" in command:
                wanted = ".*".join(re.escape(part) for part in expected.rstrip().split("…"))
                assert re.fullmatch(wanted, said.rstrip()), said
            told.append((expected, said))
    ran, listed, shown = told[-3:]
    for expected, said in (ran, listed):
        assert words(said) == words(expected)
    assert not Counter(TREE.findall(shown[0])) - Counter(TREE.findall(shown[1]))


def words(text: str) -> list[str]:
    """How the orders ended, whatever their numbers and times."""
    found = re.findall(r"\b(DONE|REJECTED|WITHDRAWN|completed|failed|cancelled|refused)\b", text)
    return sorted(found)


def test_nothing_but_the_profiles_knows_a_host_by_name() -> None:
    package = ROOT / "gentrace"
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(package.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if HOST_WORDS.search(line)
    ]
    assert not named
