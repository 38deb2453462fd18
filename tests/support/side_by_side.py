"""Tests in several processes (pytest-xdist): how many, what stays together, what runs alone.

Each process has servers of its own, so that tests meet nobody else's spans, keys or rows. A module
whose tests share a host stays in one process; other tests go to whichever is idle. A test marked
`alone` runs while no other process runs one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

if sys.platform != "win32":
    import fcntl

FOLDER = "gentrace_folder"
"""Where the controller tells its workers the folder that they share."""


class Node(Protocol):
    """A worker as its controller sees it."""

    workerinput: dict[str, Any]


def workers() -> int:
    """One more than there are cores: many tests wait for a server more than they compute."""
    return (os.cpu_count() or 1) + 1


def workers_input(config: pytest.Config) -> dict[str, Any] | None:
    """What the controller told this process; None where it is no worker."""
    return getattr(config, "workerinput", None)


class Groups(LoadScopeScheduling):
    """Gives a worker a whole group, or a single test; the groups with the most tests go first.

    xdist's own `loadgroup` changes the tests' ids, which pytest 9.2 no longer lets it do.
    """

    def __init__(self, folder: Path, config: pytest.Config, log: Producer | None) -> None:
        super().__init__(config, log)
        self._folder = folder

    @cached_property
    def _groups(self) -> dict[str, str]:
        """The group of each test that has one; every worker wrote the same."""
        return json.loads(next(self._folder.glob("groups-*.json")).read_text(encoding="utf-8"))

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)


class Controller:
    """Gives the workers a folder that they share, and removes it at the end."""

    @cached_property
    def _folder(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="gentrace-tests-"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Node) -> None:
        node.workerinput[FOLDER] = str(self._folder)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: Producer | None
    ) -> Groups | None:
        """Ours, unless the command line asks for another of xdist's."""
        return Groups(self._folder, config, log) if config.option.dist == "load" else None

    def pytest_unconfigure(self) -> None:
        if "_folder" in vars(self):
            shutil.rmtree(self._folder, ignore_errors=True)


class Grouping:
    """A worker says which of its tests belong together: those that share a module's fixture.

    Args:
        sessions: fixtures of the session whose tests belong together, too.
    """

    def __init__(self, folder: Path, worker: str, sessions: Sequence[str]) -> None:
        self._told = folder / f"groups-{worker}.json"
        self._sessions = sessions

    @pytest.hookimpl(trylast=True)  # the order is random by then
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """What starts hosts goes first: nobody waits for a long test at the end."""
        items.sort(key=lambda item: "/e2e/" not in item.nodeid)

    @pytest.hookimpl(tryfirst=True)  # the controller goes on as soon as it has heard of all
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        found = {item.nodeid: self._group(item) for item in session.items}
        groups = {nodeid: group for nodeid, group in found.items() if group is not None}
        self._told.write_text(json.dumps(groups), encoding="utf-8")

    def _group(self, item: pytest.Item) -> str | None:
        names: Sequence[str] = getattr(item, "fixturenames", ())
        if shared := [name for name in self._sessions if name in names]:
            return shared[0]
        fixtures: dict[str, Sequence[pytest.FixtureDef[Any]]] = vars(item)[
            "_fixtureinfo"
        ].name2fixturedefs
        shared = [name for name, made in fixtures.items() if made and made[-1].scope == "module"]
        if not shared:
            return None
        # A fixture with parameters is made for each: its parts need not wait for each other.
        call = getattr(item, "callspec", None)
        parts = [str(call.indices[name]) for name in shared if call and name in call.indices]
        return "-".join([item.nodeid.partition("::")[0], *parts])


class Turns:
    """A worker's tests run beside others' tests, and those marked `alone` beside none.

    Whoever wants to be alone closes the gate first, so that no new test begins elsewhere while it
    waits for the running ones.
    """

    def __init__(self, folder: Path) -> None:
        self._gate, self._room = folder / "gate", folder / "room"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        with ExitStack() as stack:
            if item.get_closest_marker("alone") is not None:
                stack.enter_context(_locked(self._gate, alone=True))
                stack.enter_context(_locked(self._room, alone=True))
            else:
                with _locked(self._gate, alone=False):
                    stack.enter_context(_locked(self._room, alone=False))
            return (yield)


@contextmanager
def _locked(path: Path, *, alone: bool) -> Generator[None]:
    """Ends with the process, whatever its end."""
    with path.open("ab") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
