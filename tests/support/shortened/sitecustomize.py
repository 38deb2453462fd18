"""For processes under test: shorter times in gentrace, and deaths at the moments that hurt.

Put this folder on PYTHONPATH. GENTRACE_TEST_TIMES holds ``module:NAME=seconds`` pairs;
GENTRACE_TEST_DEATH is a folder: who finds a file there of a moment's name takes it and dies.
GENTRACE_TEST_BEHIND is by how many seconds each write of a change comes late.
"""

from __future__ import annotations

import importlib
import os
import signal
import time
from pathlib import Path
from typing import Any


def _shorten(pairs: str) -> None:
    for pair in pairs.split():
        place, _, value = pair.partition("=")
        module, _, name = place.partition(":")
        setattr(importlib.import_module(module), name, float(value))


def _die(folder: Path, moment: str) -> None:
    try:
        (folder / moment).rename(folder / f"{moment}-{os.getpid()}")
    except OSError:
        return  # not wanted, or somebody else's
    os.kill(os.getpid(), signal.SIGKILL)


def _arrange_deaths(folder: Path) -> None:
    from gentrace.runtime.store import settle as module
    from gentrace.runtime.store.settle import Settler

    export, ended = Settler._export, Settler._ended

    def claimed(*given: Any) -> None:
        _die(folder, "claimed")
        export(*given)

    def settling(*given: Any) -> None:
        _die(folder, "settling")
        ended(*given)

    vars(module)["Settler"]._export = claimed
    vars(module)["Settler"]._ended = settling


def _fall_behind(seconds: float) -> None:
    from gentrace.runtime.store.thread import StoreThread

    pump = StoreThread._pump

    def late(self: StoreThread, client: Any) -> None:
        time.sleep(seconds)
        pump(self, client)

    StoreThread._pump = late


if os.environ.get("GENTRACE") == "1":
    _shorten(os.environ.get("GENTRACE_TEST_TIMES", ""))
    if os.environ.get("GENTRACE_TEST_DEATH"):
        _arrange_deaths(Path(os.environ["GENTRACE_TEST_DEATH"]))
    if os.environ.get("GENTRACE_TEST_BEHIND"):
        _fall_behind(float(os.environ["GENTRACE_TEST_BEHIND"]))
