"""Whether the code on disk is the code that runs, and which spans say that it is not."""

from __future__ import annotations

import importlib
import importlib.util
import os
import py_compile
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace

from gentrace.core import names
from gentrace.core.profile import Target
from gentrace.runtime.code_state import CodeState
from gentrace.runtime.guard import Hook

PACKAGE = "shop_of_code_state"
Write = Callable[..., Path]
Load = Callable[[str], Any]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a module of the package; `at` sets its time."""

    def written(name: str, text: str, at: float | None = None) -> Path:
        path = tmp_path / PACKAGE / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
        if at is not None:
            os.utime(path, (at, at))
        return path

    return written


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Load]:
    """Imports a module of the package."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)

    def imported(name: str) -> Any:
        importlib.invalidate_caches()
        return importlib.import_module(f"{PACKAGE}.{name}")

    yield imported
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def state() -> CodeState:
    return CodeState((PACKAGE,), time.time_ns())


def test_code_as_it_was_loaded(write: Write, load: Load) -> None:
    path = write("orders", "x = 1")
    load("orders")
    code = state()
    assert not code.look()
    os.utime(path, (1, 1))  # touched is not changed
    assert not code.look()
    assert code.stale() == []
    assert path in list(code.files())


def test_a_change_is_said_and_taken_back(write: Write, load: Load) -> None:
    path = write("orders", "x = 1")
    load("orders")
    code = state()
    code.look()
    write("orders", "x = 2", at=time.time() + 5)
    assert code.look()
    assert code.stale() == [f"{PACKAGE}/orders.py: changed"]
    assert not code.look()  # no news
    path.unlink()
    assert code.look()
    assert code.stale() == [f"{PACKAGE}/orders.py: removed"]
    write("orders", "x = 1")
    assert code.look()
    assert code.stale() == []


def test_modules_that_come_later_and_other_packages(write: Write, load: Load) -> None:
    code = state()
    code.look()
    path = write("later", "x = 1")
    load("later")
    code.look()
    assert path in list(code.files())
    assert not [file for file in code.files() if PACKAGE not in str(file)]


def test_a_change_before_the_first_look_by_what_this_process_compiled(
    write: Write, load: Load
) -> None:
    code = state()
    write("orders", "x = 1")
    load("orders")  # writes the .pyc
    write("orders", "x = 1; y = 2", at=time.time() + 5)
    assert code.look()
    assert code.stale() == [f"{PACKAGE}/orders.py: changed"]


def test_an_old_pyc_that_python_did_not_take(
    write: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("orders", "x = 1")
    py_compile.compile(str(path), doraise=True)
    os.utime(importlib.util.cache_from_source(str(path)), (1, 1))
    write("orders", "x = 2", at=time.time() - 100)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert load("orders").x == 2
    assert not state().look()


@pytest.mark.parametrize("fits", [True, False])
def test_a_pyc_that_python_takes_unasked(write: Write, load: Load, fits: bool) -> None:
    path = write("orders", "x = 1")
    unasked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(path), doraise=True, invalidation_mode=unasked)
    if not fits:
        write("orders", "x = 2")
    assert load("orders").x == 1
    code = state()
    code.look()
    assert code.stale() == ([] if fits else [f"{PACKAGE}/orders.py: pyc"])


def test_a_checked_pyc_is_pythons_own_care(write: Write, load: Load) -> None:
    path = write("orders", "x = 1")
    checked = py_compile.PycInvalidationMode.CHECKED_HASH
    py_compile.compile(str(path), doraise=True, invalidation_mode=checked)
    write("orders", "x = 2")
    assert load("orders").x == 2
    assert not state().look()


class Span(trace.NonRecordingSpan):
    """Keeps its attributes."""

    def __init__(self) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.attributes: dict[str, Any] = {}

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def is_recording(self) -> bool:
        return True


class Quiet:
    """A hook that keeps what was settled."""

    waits = False

    def __init__(self, *_of: Any) -> None:
        self.settled: list[Any] = []

    async def prepare(self, call: Any) -> None: ...
    def before(self, call: Any) -> Any: ...
    def after(self, state: Any, call: Any, result: Any) -> None: ...
    def failed(self, state: Any, call: Any, exc: BaseException) -> None: ...
    def settle(self, state: Any) -> None:
        self.settled.append(state)


def hooked(code: CodeState, role: str = "create") -> Hook:
    engine: Any = None
    target = Target("orders", role, (".old:create", ".orders:create"))
    return code.watching({role: Quiet})[role](engine, target, "orders")


def test_spans_of_hooks_say_it(write: Write, load: Load) -> None:
    write("orders", "x = 1")
    load("orders")
    code = state()
    hook: Any = hooked(code)

    def settled(**given: Any) -> list[Any]:
        span, inner = Span(), Span()
        scope = SimpleNamespace(span=inner)
        one = SimpleNamespace(span=span, scope=scope, owns_scope=False)
        hook.settle(SimpleNamespace(**{**vars(one), **given}))
        return [span.attributes, inner.attributes]

    code.look()
    assert settled() == [{}, {}]
    write("orders", "x = 2", at=time.time() + 5)
    code.look()
    said = {names.CODE_STALE: [f"{PACKAGE}/orders.py: changed"]}
    assert settled() == [said, {}]
    assert settled(owns_scope=True) == [said, said]
    assert settled(span=None, scope=None) == [{}, {}]
    assert len(hook.settled) == 4


def test_a_span_that_says_it_asks_the_disk_nothing(
    write: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("orders", "x = 1")
    load("orders")
    code = state()
    hook: Any = hooked(code)
    code.look()
    write("orders", "x = 2", at=time.time() + 5)
    code.look()

    def asked(*_of: Any, **_options: Any) -> Any:
        raise AssertionError("the disk was asked in the host's time")

    span = Span()
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", asked)
        hook.settle(SimpleNamespace(span=span, scope=None, owns_scope=False))
    assert span.attributes == {names.CODE_STALE: [f"{PACKAGE}/orders.py: changed"]}


def test_a_jobs_span_is_the_workers(write: Write, load: Load) -> None:
    write("orders", "x = 1")
    load("orders")
    code = state()
    hook: Any = hooked(code, "job")
    code.look()
    write("orders", "x = 2", at=time.time() + 5)
    code.look()
    worker: Any = Span()
    with trace.use_span(worker):
        assert hook.before(None) is None
    assert worker.attributes == {names.CODE_STALE: [f"{PACKAGE}/orders.py: changed"]}


def test_a_target_that_is_not_there(write: Write) -> None:
    hook: Any = hooked(state())
    hook.settle("as it was")
    assert hook.settled == ["as it was"]
