"""What the host is owed, for every hooked function: its own results, errors, shape and warnings."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import pickle
import sys
import traceback
import types
import warnings
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context

import gentrace
from gentrace.core import profile
from gentrace.runtime.session import HOOKS
from tests.runtime.hooks.conftest import FakeHost
from tests.support.fakehost import CASES, REACHED_BY, Case, arguments, script
from tests.support.host import until
from tests.support.unhooked import unhooked

every = pytest.mark.parametrize("case", CASES, ids=str)
every_async = pytest.mark.parametrize("case", [c for c in CASES if c.is_async], ids=str)


OURS = (str(Path(gentrace.__file__).parent), "wrapt")
seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


class HostError(Exception):
    """Raised by the host."""


class Result:
    """Returned by the host; every role reads something of it, or nothing."""

    id, status, outcome = 7, "completed", "completed"


def original(case: Case) -> Any:
    """The function as the host wrote it, bound as callers have it."""
    raw = unhooked(vars(case.place)[case.name])
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
@pytest.mark.parametrize(
    "kind", [HostError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError]
)
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


@every
def test_the_traceback_is_the_same_but_for_our_frames(case: Case, fake: FakeHost) -> None:
    def frames(function: Any) -> list[tuple[str, str]]:
        script.outcome = error = HostError()
        with pytest.raises(HostError):
            fake.run(case, lambda: function(**arguments(case.hooked)))
        found = [(f.name, f.filename) for f in traceback.extract_tb(error.__traceback__)]
        return [frame for frame in found if not any(ours in frame[1] for ours in OURS)]

    assert frames(case.hooked) == frames(original(case))


@every
@pytest.mark.parametrize("kind", [HostError, Result])
def test_what_the_host_gives_lives_no_longer_than_without_us(
    case: Case, fake: FakeHost, kind: type[Any]
) -> None:
    def by_hand() -> None:
        """Without a loop, whose tasks hold exceptions in circles."""
        given: Any = case.call()
        try:
            while case.is_async:
                given.send(None)
        except StopIteration:
            return

    def given() -> weakref.ref[Any]:
        script.outcome = kind()
        left = weakref.ref(script.outcome)
        try:
            fake.run(case, by_hand)
        except HostError:
            pass
        script.outcome = None
        return left

    gc.disable()  # who holds it alive in a circle is found out
    try:
        assert given()() is None
    finally:
        gc.enable()


@every
def test_what_the_host_sets_stays_set(case: Case, fake: FakeHost) -> None:
    def looked() -> Any:
        async def soon() -> str:
            await case.call()
            return seen.get()

        if case.is_async:
            return soon()
        case.call()
        return seen.get()

    script.work = lambda: seen.set("something")
    assert fake.run(case, looked) == "something"


@every
def test_the_context_is_what_it_was(case: Case, fake: FakeHost) -> None:
    def looked() -> Any:
        outside = otel_context.get_current()

        async def soon() -> bool:
            outside = otel_context.get_current()
            await case.call()
            return otel_context.get_current() == outside

        if case.is_async:
            return soon()
        case.call()
        return otel_context.get_current() is outside

    assert fake.run(case, looked)


async def by_a_timeout(call: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(0.01):
        await call()


async def by_wait_for(call: Callable[[], Awaitable[Any]]) -> None:
    await asyncio.wait_for(call(), 0.01)


async def by_another_of_its_group(call: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(by_nobody(call))
        await until(lambda: script.started)
        raise HostError


async def by_nobody(call: Callable[[], Awaitable[Any]]) -> None:
    await call()


@every_async
@pytest.mark.parametrize(
    ("way", "raised"),
    [
        (by_a_timeout, TimeoutError),
        (by_wait_for, TimeoutError),
        (by_another_of_its_group, ExceptionGroup),
    ],
)
def test_cancellation_however_it_comes(
    case: Case, fake: FakeHost, way: Callable[..., Any], raised: type[BaseException]
) -> None:
    script.stay = True

    async def cancelled() -> None:
        with pytest.raises(raised):
            await way(case.call)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    fake.run(case, cancelled)


@every
def test_several_threads_and_event_loops_at_once(case: Case, fake: FakeHost) -> None:
    def call() -> Any:
        given = case.call()
        return asyncio.run(given) if case.is_async else given

    def at_once() -> list[Any]:
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(contextvars.copy_context().run, call) for _ in range(4)]
            strangers = [pool.submit(call) for _ in range(4)]
            return [one.result() for one in (*calls, *strangers)]

    results = fake.run(case, at_once)
    assert all(result is script.outcome for result in results)
    assert not fake.guard(case).total


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
    assert inspect.iscoroutinefunction(functools.partial(hooked)) is case.is_async
    if sys.version_info < (3, 14):
        asked = vars(asyncio)["iscoroutinefunction"]  # deprecated by 3.14
        assert asked(hooked) is asked(own)
    if not case.owner:  # a method is another object for each instance
        assert inspect.unwrap(hooked) is inspect.unwrap(own)
        assert (hooked, hash(hooked)) == (own, hash(own))
    assert inspect.ismethod(hooked) is inspect.ismethod(own)
    assert inspect.getsource(hooked) == inspect.getsource(own)
    if case.owner:
        static = inspect.getattr_static(case.place, case.name)
        assert type(static) is type(unhooked(static))
        assert isinstance(static, staticmethod) is ("@staticmethod" in case.source)
        assert getattr(case.place, case.name) is getattr(case.place, case.name)
        assert type(getattr(case.place, case.name)) is types.FunctionType


@every
def test_it_is_pickled_as_functions_are(case: Case, fake: FakeHost) -> None:
    function = getattr(case.place, case.name)
    again = pickle.loads(pickle.dumps(function))
    assert again == function
    assert type(again) is type(function)


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
