"""Modules that arrive: told once, after they have run, and imported as without us."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import pytest

from gentrace.runtime.arrivals import Arrivals
from tests.runtime.conftest import Swallowed


@pytest.fixture
def arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Arrivals]:
    """With a folder to import from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    arrivals = Arrivals()
    yield arrivals
    arrivals.close()
    assert all(finder is not arrivals for finder in sys.meta_path)
    for name in [name for name in sys.modules if name.startswith("arriving")]:
        del sys.modules[name]


def test_a_module_is_told_of_once_it_has_run(arrivals: Arrivals, tmp_path: Path) -> None:
    (tmp_path / "arriving.py").write_text("loader, spec = __loader__, __spec__\nlast = 1\n")
    told: list[tuple[ModuleType, int]] = []
    for _ in range(2):
        assert not arrivals.await_module(
            "arriving", lambda module: told.append((module, module.last))
        )
    assert importlib.util.find_spec("arriving") is not None
    assert told == []
    module = importlib.import_module("arriving")
    assert told == [(module, 1)] * 2
    assert type(module.loader).__module__.startswith(("importlib", "_frozen_importlib"))
    assert module.__loader__ is module.loader is module.spec.loader
    assert module.spec is module.__spec__
    importlib.reload(module)
    assert len(told) == 2
    assert arrivals.await_module("arriving", lambda module: told.append((module, module.last)))
    assert len(told) == 3


def test_an_import_that_fails_is_told_of_when_it_succeeds(
    arrivals: Arrivals, tmp_path: Path
) -> None:
    file = tmp_path / "arriving_late.py"
    file.write_text("import no_such_module_at_all\n")
    told: list[ModuleType] = []
    arrivals.await_module("arriving_late", told.append)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        importlib.import_module("arriving_late")
    assert told == []
    file.write_text("number = 12345\n")
    importlib.invalidate_caches()
    assert told == [importlib.import_module("arriving_late")]


def test_a_failure_of_ours_fails_no_import(
    arrivals: Arrivals, tmp_path: Path, swallowed: Swallowed
) -> None:
    (tmp_path / "arriving.py").touch()

    def broken(_module: ModuleType) -> None:
        raise LookupError

    arrivals.await_module("arriving", broken)
    importlib.import_module("arriving")
    assert [where for where, _ in swallowed] == ["arrival of a module"]


def test_two_of_us_and_wrapt_beside_each_other(arrivals: Arrivals, tmp_path: Path) -> None:
    import wrapt

    package = tmp_path / "arriving_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").touch()
    told: list[str] = []
    other = Arrivals()
    name = "arriving_package.inner"
    other.await_module(name, lambda module: told.append("other"))
    arrivals.await_module(name, lambda module: told.append("one"))
    wrapt.register_post_import_hook(lambda module: told.append("wrapt"), name)
    importlib.import_module(name)
    other.close()
    assert sorted(told) == ["one", "other", "wrapt"]


def test_what_is_not_there_is_not_found(arrivals: Arrivals) -> None:
    arrivals.await_module("arriving_never", lambda module: None)
    with pytest.raises(ModuleNotFoundError, match="arriving_never"):
        importlib.import_module("arriving_never")
