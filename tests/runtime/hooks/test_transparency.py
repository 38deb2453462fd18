"""What the host is owed, for every hooked function: its own results, errors, shape and warnings."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import traceback
import warnings
from typing import Any

import pytest

from gentrace.core import profile
from gentrace.runtime.session import HOOKS
from tests.runtime.hooks.conftest import FakeHost
from tests.support.fakehost import CASES, REACHED_BY, Case, arguments, script
from tests.support.host import until

every = pytest.mark.parametrize("case", CASES, ids=str)
every_async = pytest.mark.parametrize("case", [c for c in CASES if c.is_async], ids=str)


class HostError(Exception):
    """Raised by the host."""


def original(case: Case) -> Any:
    """The function as the host wrote it, bound as callers have it."""
    raw = vars(case.place)[case.name].__wrapped__
    return raw.__get__(case.place()) if case.owner else raw


def test_every_target_that_is_hooked_is_tested() -> None:
    loaded, _ = profile.load()
    hooked = {target.name for target in loaded.targets if target.role in HOOKS}
    tested: set[str] = set().union(*REACHED_BY.values())
    assert tested == hooked


def test_every_role_with_a_hook_is_met_by_a_target() -> None:
    assert {case.target.role for case in CASES} == set(HOOKS)


def test_every_target_is_patched(fake: FakeHost) -> None:
    states = {row["name"]: row["state"] for row in fake.session.patcher.report()}
    assert set(states.values()) == {"patched"}


@every
def test_the_result_is_the_hosts_own_object(case: Case, fake: FakeHost) -> None:
    assert fake.run(case) is script.outcome
    assert script.started == 1


@every
@pytest.mark.parametrize("kind", [HostError, KeyboardInterrupt, GeneratorExit])
def test_the_exception_is_the_hosts_own_object(
    case: Case, fake: FakeHost, kind: type[BaseException]
) -> None:
    script.outcome = error = kind("as it is")
    with pytest.raises(kind) as raised:
        fake.run(case)
    assert raised.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert not hasattr(error, "__notes__")
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert (last.name, last.filename) == (case.name, inspect.getfile(original(case)))


@every_async
def test_cancellation_passes_through(case: Case, fake: FakeHost) -> None:
    script.stay = True

    async def cancelled() -> None:
        task = asyncio.ensure_future(case.call())
        await until(lambda: script.started)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        assert task.cancelled()

    fake.run(case, cancelled)


@every
def test_the_function_looks_the_same(case: Case, fake: FakeHost) -> None:
    hooked, own = case.hooked, original(case)
    assert inspect.signature(hooked) == inspect.signature(own)
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__defaults__"):
        assert getattr(hooked, name) == getattr(own, name)
    assert inspect.iscoroutinefunction(hooked) is inspect.iscoroutinefunction(own)
    assert inspect.iscoroutinefunction(hooked) is case.is_async
    assert inspect.ismethod(hooked) is inspect.ismethod(own)
    assert inspect.getsource(hooked) == inspect.getsource(own)
    static = inspect.getattr_static(case.place, case.name)
    assert isinstance(static, staticmethod) is isinstance(static.__wrapped__, staticmethod)


@every_async
def test_the_coroutine_looks_the_same(case: Case, fake: FakeHost) -> None:
    own, hooked = original(case)(**arguments(case.hooked)), case.call()
    assert inspect.iscoroutine(hooked)
    assert (hooked.__name__, hooked.__qualname__) == (own.__name__, own.__qualname__)
    asyncio.run(own)
    asyncio.run(hooked)


@every
def test_wrong_arguments_raise_at_the_call(case: Case, fake: FakeHost) -> None:
    def mistake(function: Any) -> str:
        given = arguments(function)
        with pytest.raises(TypeError) as raised:
            # not awaited: it raises before there is anything to await
            function() if "kwargs" in inspect.signature(function).parameters else function(
                **given, no_such_argument=1
            )
        return str(raised.value)

    told = contextvars.copy_context().run(mistake, case.hooked)
    assert told == mistake(original(case))
    assert not fake.guard(case).total


@every_async
def test_a_task_cancelled_before_its_first_step_warns_of_nothing(
    case: Case, fake: FakeHost
) -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(case.call())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fake.run(case, cancelled)
        gc.collect(0)
    assert [str(warning.message) for warning in said] == []
    assert script.started == 0


@every_async
def test_a_call_that_is_not_awaited_warns_as_without_us(case: Case, fake: FakeHost) -> None:
    def forgotten(function: Any) -> list[str]:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            function(**arguments(case.hooked))
            gc.collect(0)
        return [str(warning.message) for warning in said]

    assert forgotten(case.hooked) == forgotten(original(case))
    assert script.started == 0
