"""What the host's imports of a provider's package met, seen without importing anything."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from gentrace.core.host_logs import Sdk
from gentrace.runtime.sdk_imports import SdkImports, version

SDK = "sdk_of_these_tests"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[..., None]]:
    """Writes modules of the package, which can then be imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(**modules: str) -> None:
        (tmp_path / SDK).mkdir(exist_ok=True)
        for name, text in modules.items():
            (tmp_path / SDK / f"{name}.py").write_text(text)
        importlib.invalidate_caches()

    yield written
    for name in [name for name in sys.modules if name.partition(".")[0] == SDK]:
        del sys.modules[name]


@pytest.fixture
def sdks() -> Generator[SdkImports]:
    made = SdkImports([Sdk(SDK, "sdk-of-these-tests")])
    made.install()
    yield made
    made.close()
    assert made not in sys.meta_path


def row(sdks: SdkImports) -> tuple[str, list[str]]:
    (only,) = sdks.report()
    return only["state"], only["errors"]


def test_one_that_is_imported(sdks: SdkImports, write: Callable[..., None]) -> None:
    write(__init__="__version__ = '1.2'", inner="x = 1")
    assert row(sdks) == ("importable", [])
    assert SDK not in sys.modules
    inner = importlib.import_module(f"{SDK}.inner")
    assert vars(inner)["__loader__"] is vars(inner)["__spec__"].loader
    assert type(inner.__loader__).__module__.startswith("_frozen_importlib")
    assert row(sdks) == ("imported", [])
    assert sdks.report()[0]["version"] == "1.2"


def test_one_that_is_not_there(sdks: SdkImports) -> None:
    assert sdks.errors() == [f"{SDK}: ModuleNotFoundError"]
    with pytest.raises(ModuleNotFoundError, match=SDK):
        importlib.import_module(SDK)
    assert row(sdks) == ("failed", [f"{SDK}: ModuleNotFoundError"])


def test_one_that_wants_another(sdks: SdkImports, write: Callable[..., None]) -> None:
    write(__init__="import something_that_is_nowhere")
    with pytest.raises(ModuleNotFoundError, match="something_that_is_nowhere"):
        importlib.import_module(SDK)
    said = f"{SDK}: ModuleNotFoundError: something_that_is_nowhere"
    assert row(sdks) == ("failed", [said])


def test_no_word_of_another_error(sdks: SdkImports, write: Callable[..., None]) -> None:
    write(__init__="raise RuntimeError('key sk-0123456789abcdef')")
    with pytest.raises(RuntimeError, match="sk-0123456789abcdef"):
        importlib.import_module(SDK)
    assert sdks.errors() == [f"{SDK}: RuntimeError"]


def test_a_part_that_is_gone(sdks: SdkImports, write: Callable[..., None]) -> None:
    write(__init__="")
    with pytest.raises(ImportError):
        exec(f"from {SDK} import Client")
    assert row(sdks) == ("imported", [f"{SDK}.Client: ModuleNotFoundError"])


def test_one_that_succeeds_at_last(sdks: SdkImports, write: Callable[..., None]) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(SDK)
    write(__init__="")
    importlib.import_module(SDK)
    assert sdks.errors() == []


def test_asking_imports_nothing_and_notices_nothing(
    sdks: SdkImports, write: Callable[..., None]
) -> None:
    write(__init__="raise RuntimeError")
    assert importlib.util.find_spec(SDK) is not None
    assert sdks.errors() == []
    assert row(sdks) == ("importable", [])


def test_a_finder_of_the_hosts_that_fails(
    sdks: SdkImports, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails:
        def find_spec(self, fullname: str, *_more: object) -> None:
            if fullname == SDK:
                raise LookupError("theirs")

    monkeypatch.setattr(sys, "meta_path", [Fails(), *sys.meta_path])
    assert sdks.errors() == [f"{SDK}: ModuleNotFoundError"]
    with pytest.raises(LookupError, match="theirs"):
        importlib.import_module(SDK)


def test_an_extension_that_cannot_be_made(sdks: SdkImports, tmp_path: Path) -> None:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (tmp_path / f"{SDK}{suffix}").write_bytes(b"no library")
    importlib.invalidate_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        with pytest.raises(ImportError):
            importlib.import_module(SDK)
    assert sdks.errors()[0].startswith(f"{SDK}: ImportError")


def test_without_any() -> None:
    none = SdkImports([])
    none.install()
    assert none not in sys.meta_path
    none.close()
    assert (none.errors(), none.report()) == ([], [])


def test_versions() -> None:
    assert version("wrapt") is not None
    assert version("no-such-distribution-of-anybody") is None
