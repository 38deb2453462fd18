"""What an exception tells of its cause: the chain inwards, the host's place, the stack."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from fastapi import HTTPException

from gentrace.runtime import failures

HOST = ("failing_host",)
SOURCE = """
import json

class ProviderError(Exception): ...

def garbage():
    return json.loads("<html>")

def from_it():
    try:
        garbage()
    except ValueError as error:
        raise ProviderError("odd") from error

def in_its_place():
    try:
        garbage()
    except ValueError:
        raise ProviderError("odd")

def by_a_helper():
    try:
        garbage()
    except ValueError as error:
        _handle(error)

def _handle(error):
    raise ProviderError("odd")

def hidden():
    try:
        garbage()
    except ValueError:
        raise ProviderError("odd") from None

def another_in_the_handler():
    try:
        garbage()
    except ValueError:
        _put_right()

def _put_right():
    missing_name

async def grouped():
    import asyncio
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_member())

async def _member():
    missing_name

async def late():
    import asyncio
    async with asyncio.timeout(0):
        await asyncio.sleep(60)

def deep(n):
    return deep(n - 1) if n else missing_name
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """A host's module, outside of any package's folder that Python would shorten."""
    path = tmp_path_factory.mktemp("home") / "failing_host" / "adapters" / "odd.py"
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    module = ModuleType("failing_host.adapters.odd")
    exec(compile(SOURCE, str(path), "exec"), vars(module))
    return module


def raised(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as exc:
        return exc
    raise AssertionError("nothing was raised")


def types(exc: Exception) -> list[str]:
    return [type(each).__name__ for each in failures.chain(exc)]


@pytest.mark.parametrize(
    ("name", "chain", "function"),
    [
        ("from_it", ["ProviderError", "JSONDecodeError"], "garbage"),
        ("in_its_place", ["ProviderError", "JSONDecodeError"], "garbage"),
        ("by_a_helper", ["ProviderError", "JSONDecodeError"], "garbage"),
        ("hidden", ["ProviderError"], "hidden"),
        ("another_in_the_handler", ["NameError"], "_put_right"),
        ("grouped", ["ExceptionGroup", "NameError"], "_member"),
        ("late", ["TimeoutError"], "late"),
        ("garbage", ["JSONDecodeError"], "garbage"),
    ],
)
def test_the_chain_and_where_it_began(
    host: ModuleType, name: str, chain: list[str], function: str
) -> None:
    work = getattr(host, name)
    exc = raised(lambda: asyncio.run(work()) if inspect.iscoroutinefunction(work) else work())
    assert types(exc) == chain
    place = failures.origin(failures.chain(exc), HOST)
    assert place is not None
    assert place.file == "failing_host/adapters/odd.py"
    assert place.function == f"failing_host.adapters.odd:{function}"
    assert SOURCE.splitlines()[place.line - 1].strip()


def answered(code: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://provider.test")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(code))


class Told(Exception):
    """As an SDK or aiohttp has it."""

    def __init__(self, **told: object) -> None:
        vars(self).update(told)


class Unreadable(Exception):
    @property
    def status_code(self) -> int:
        raise RuntimeError


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([ValueError(), answered(502)], 502),
        ([Told(status_code=500), Told(status=429), ValueError()], 429),
        ([Told(status_code=200), Told(status_code=None), Told(status="503")], None),
        ([Told(status=7), Told(status_code=True), ValueError()], None),
        ([HTTPException(404), ValueError()], None),  # what the host itself would answer
        ([Told(status=503), Unreadable()], 503),
        ([], None),
    ],
)
def test_the_status_of_the_answer_that_a_failure_carries(
    found: list[Exception], status: int | None
) -> None:
    assert failures.http_status(found) == status


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    assert types(one) == ["ValueError", "KeyError"]
    itself = ValueError()
    itself.__cause__ = itself
    assert types(itself) == ["ValueError"]
    group = ExceptionGroup("round", [ValueError()])
    group.exceptions[0].__cause__ = group
    assert types(group) == ["ExceptionGroup", "ValueError"]


def test_a_chain_of_any_length_is_bounded() -> None:
    outer = exc = ValueError(0)
    for number in range(1, 500):
        exc.__cause__ = exc = ValueError(number)
    assert len(failures.chain(outer)) == 16


def test_without_a_traceback_no_place_is_told(host: ModuleType) -> None:
    bare = ValueError("never raised")
    assert failures.origin([bare], HOST) is None
    assert failures.stack([bare], HOST) == ["ValueError"]

    # raised from one that never was: the nearest place that is known
    def work() -> None:
        raise host.ProviderError("odd") from bare

    exc = raised(work)
    assert types(exc) == ["ProviderError", "ValueError"]
    assert failures.origin(failures.chain(exc), (__name__,)) == failures.Place(
        "tests/runtime/test_failures.py",
        work.__code__.co_firstlineno + 1,
        f"{__name__}:{work.__code__.co_qualname}",
    )


def test_cancellation_is_not_the_cause_of_a_time_out() -> None:
    exc = TimeoutError()
    exc.__cause__ = asyncio.CancelledError()
    assert types(exc) == ["TimeoutError"]


def test_the_stack_reads_like_a_traceback(host: ModuleType) -> None:
    exc = raised(host.by_a_helper)
    lines = failures.stack(failures.chain(exc), HOST)
    told = [line.rpartition(" ")[2] for line in lines]
    assert told == [
        *("by_a_helper", "garbage", "JSONDecodeError"),
        *("by_a_helper", "_handle", "ProviderError"),
    ]
    assert not any("odd" in line.rpartition("/")[2].partition(".py")[2] for line in lines)
    assert not any("<html>" in line for line in lines)


def test_a_deep_recursion_is_bounded(host: ModuleType) -> None:
    exc = raised(lambda: host.deep(300))
    lines = failures.stack(failures.chain(exc), HOST)
    assert len(lines) == 41
    assert lines[-1] == "NameError"


def test_callers_stand_before_what_was_called(host: ModuleType) -> None:
    def caller() -> list[str]:
        exc = raised(host.garbage)
        return failures.stack(failures.chain(exc), (__name__, *HOST), sys._getframe())

    told = [line.rpartition(" ")[2] for line in caller()]
    assert told[-2:] == ["garbage", "JSONDecodeError"]
    assert "test_callers_stand_before_what_was_called.<locals>.caller" in told[:-2]


@pytest.mark.parametrize(
    ("path", "module", "shown"),
    [
        ("/home/me/shop/shop/till.py", "shop.till", "shop/till.py"),
        ("/home/me/shop/shop/__init__.py", "shop", "shop/__init__.py"),
        ("C:\\Users\\me\\shop\\till.py", "shop.till", "shop/till.py"),
        ("/home/me/elsewhere/made.py", "shop.till", "made.py"),
        ("<string>", "shop.till", "<string>"),
        ("shop/till.py", "shop.till", "shop/till.py"),
    ],
)
def test_no_folder_of_the_machine_is_told(path: str, module: str, shown: str) -> None:
    code = compile("None", path, "exec")
    assert failures._file(code, module) == shown


def test_a_file_below_an_entry_of_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    code = compile("None", str(tmp_path / "odd" / "made.py"), "exec")
    assert failures._file(code, "shop.till") == "odd/made.py"


def test_json_is_not_the_hosts(host: ModuleType) -> None:
    exc = raised(lambda: json.loads("<html>"))
    assert failures.origin(failures.chain(exc), HOST) is None
