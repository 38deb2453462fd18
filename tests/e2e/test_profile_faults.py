"""A profile with a mistake, or none: one line in API and worker, and the host serves on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.e2e.faults import one_line_each, raised_elsewhere, spooled_whole
from tests.support.programs import ROOT
from tests.support.small_host import SmallHost, small_host

PIXSIM7 = (ROOT / "gentrace" / "profiles" / "pixsim7.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts API and worker."""
    with small_host(api=False, workers=0, failed=anything_failed) as running:
        yield running


TOLERATED = {
    "an unknown key": (
        "trust_incomming = true\n" + PIXSIM7,
        ("unknown key 'trust_incomming'; did you mean 'trust_incoming'?", "ignored"),
    ),
    "a wrong type": (
        'propagate_to = { all = "hosts" }\n' + PIXSIM7.replace("\npropagate_to", "\n# was"),
        ("propagate_to", "a list of strings was expected"),
    ),
    "an unknown role": (
        PIXSIM7 + '\n[[targets]]\nname = "mine"\nrole = "creat"\nat = [".main:lifespan"]\n',
        ("targets[mine]: unknown role 'creat'; did you mean 'create'?", "ignored"),
    ),
    "a target at no place": (
        PIXSIM7 + '\n[[targets]]\nname = "mine"\nrole = "cron"\nat = ["nowhere"]\n',
        ("targets[mine]: 'nowhere' is not of the form module:qualname", "ignored"),
    ),
}


@pytest.mark.parametrize("name", TOLERATED)
def test_a_mistake_is_left_out(host: SmallHost, tmp_path: Path, name: str) -> None:
    text, words = TOLERATED[name]
    profile, spool = tmp_path / "mine.toml", tmp_path / "spool"
    profile.write_text(text, encoding="utf-8")
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_PROFILE": str(profile)}
    with host.running(env) as programs:
        spooled_whole(spool, str(host.run()["id"]), programs[0])
    for line in one_line_each(programs):
        assert str(profile) in line
        for word in words:
            assert word in line


UNUSABLE: dict[str, tuple[str | bytes | None, str]] = {
    "no file": (None, "cannot be read: No such file or directory"),
    "a folder": ("folder", "cannot be read: is a directory"),
    "not UTF-8": (b'name = "\xff"\n', "cannot be read: not UTF-8 text"),
    "not TOML": ("name = [", "not valid TOML"),
    "empty": ("", "missing 'name', 'packages', 'targets'"),
    "wrong types": ("name = 1\npackages = 2\ntargets = 3\n", "targets: [[targets]] was expected"),
    "no packages": ('name = "x"\npackages = []\ntargets = []\n', "at least one package is needed"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_profile_that_cannot_be_used(host: SmallHost, tmp_path: Path, name: str) -> None:
    text, word = UNUSABLE[name]
    profile, spool = tmp_path / "mine.toml", tmp_path / "spool"
    if text == "folder":
        profile.mkdir()
    elif text is not None:
        profile.write_bytes(text if isinstance(text, bytes) else text.encode())
    without_tracing(host, str(profile), spool, word)


def test_a_name_that_nobody_knows(host: SmallHost, tmp_path: Path) -> None:
    without_tracing(host, "pixsim9", tmp_path / "spool", "no such profile; shipped: pixsim7")


def without_tracing(host: SmallHost, profile: str, spool: Path, word: str) -> None:
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_PROFILE": profile}
    with host.running(env) as programs:
        assert host.run()["status"] == "completed"
    for program in programs:
        (line,) = program.said()
        assert profile in line
        assert word in line
        assert "the host runs without tracing" in line
        raised_elsewhere(program)
    assert not spool.exists()
