"""Things of the host's that are not as plain as they look: closed, lazy, made by a decorator."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any
from weakref import WeakSet

import pytest
from arq.worker import Worker

from gentrace.runtime import copies, startup
from gentrace.runtime.patching import _is_from_elsewhere
from tests.support.host import SmallHost


class Lazy:
    """Loads what it stands for when it is looked at."""

    looked: list[str]

    def __init__(self) -> None:
        object.__setattr__(self, "looked", [])

    @property
    def __class__(self) -> type:  # type: ignore[override]
        self.looked.append("class")
        raise RuntimeError("loaded too soon")

    @__class__.setter
    def __class__(self, value: type) -> None:
        raise RuntimeError


class Closed(type):
    """A class that takes no new attribute."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise TypeError(f"{cls.__name__} is closed")


def original() -> str:
    return "original"


@pytest.fixture
def odd() -> Generator[ModuleType]:
    """A module of the host's with such things in it."""
    module = ModuleType("odd_host.module")
    held = {"__module__": module.__name__, "copy": staticmethod(original)}
    module.__dict__.update(
        lazy=Lazy(), Closed=Closed("Closed", (), held), copied=original, zcopied=original
    )
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_copies_beside_lazy_objects_and_closed_classes(odd: Any) -> None:
    def other() -> str:
        return "other"

    done = copies.exchange({id(original): other}, ("odd_host",))
    assert (odd.copied(), odd.zcopied(), odd.Closed.copy()) == ("other", "other", "original")
    copies.holders([original], lambda _words: False)
    assert odd.lazy.looked == []
    for _, _, undo in done:
        undo()
    assert odd.copied is odd.zcopied is original


class Decorated:
    """What a decorator makes of a function without saying so."""

    async def __call__(self) -> None:
        """Nothing."""


def test_what_a_decorator_made_is_no_re_export(odd: Any) -> None:
    def plainly(function: Callable[[], str]) -> Callable[[], str]:
        return lambda: function()

    made: tuple[Any, ...] = (plainly(original), functools.partial(original), Decorated())
    assert [_is_from_elsewhere(each, "work", odd) for each in made] == [False] * 3
    assert _is_from_elsewhere(original, "work", odd)  # this module has it under its name


class Legacy:
    """A finder as Python 3.11 still takes it."""

    def find_module(self, name: str, path: Any = None) -> None:
        """Finds nothing."""


def test_a_legacy_finder_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = startup._Trigger("pixsim7", ["odd_host"])
    monkeypatch.setattr(startup, "_activate", lambda _profile: None)
    monkeypatch.setattr(sys, "meta_path", [trigger, Legacy(), *sys.meta_path])
    assert trigger.find_spec("odd_host") is None
    assert trigger.fired


async def test_workers_are_let_go(host: SmallHost) -> None:
    workers: WeakSet[Worker] = WeakSet()
    before = len(host.session.engine.undo)
    for _ in range(3):
        workers.add(await host.work())
    gc.collect()
    assert len(workers) <= 1
    assert len(host.session.engine.undo) == before
