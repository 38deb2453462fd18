"""The wrapper around a host's function, where the function is not as plain as it looks."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import pytest

from gentrace.runtime.guard import Call, Guard, around
from gentrace.runtime.wrapping import replace


class Hook:
    """Notes what it sees, in order."""

    waits = False

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def prepare(self, call: Call) -> None:
        """Not asked for."""

    def before(self, call: Call) -> str:
        self.seen.append("before")
        return "state"

    def after(self, state: Any, call: Call, result: Any) -> None:
        self.seen.append(f"after {result}")

    def failed(self, state: Any, call: Call, exc: BaseException) -> None:
        self.seen.append(f"failed {exc}")

    def settle(self, state: Any) -> None:
        self.seen.append("settle")


class Waiting(Hook):
    """Reads the store for as long as it is let; says when it has begun."""

    waits = True

    def __init__(self, reading: asyncio.Event) -> None:
        super().__init__()
        self.reading = reading

    async def prepare(self, call: Call) -> None:
        self.reading.set()
        await asyncio.sleep(30)


def plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator as hosts write them: a plain function that returns the coroutine."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


async def test_a_plain_decorator_around_a_coroutine_function() -> None:
    class Host:
        @plainly
        async def work(self, fails: bool) -> str:
            hook.seen.append("host")
            if fails:
                raise ValueError("no")
            return "done"

    hook = Hook()
    restore = replace(Host, "work", around("work", hook, Guard("work"), vars(Host)["work"]))
    assert restore is not None
    assert await Host().work(False) == "done"
    assert hook.seen == ["before", "host", "after done", "settle"]
    hook.seen.clear()
    with pytest.raises(ValueError, match="no"):
        await Host().work(True)
    assert hook.seen == ["before", "host", "failed no", "settle"]
    restore()


async def test_a_cancellation_while_the_store_is_read_is_the_hosts() -> None:
    """The host's coroutine begins, and meets it at its first await as it would without us."""
    reading, seen = asyncio.Event(), list[str]()

    class Host:
        async def work(self) -> None:
            seen.append("began")
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                assert task is not None
                seen.append(f"cancelled {task.cancelling()}")
                raise

    hook = Waiting(reading)
    restore = replace(Host, "work", around("work", hook, Guard("work"), vars(Host)["work"]))
    assert restore is not None
    task = asyncio.create_task(Host().work())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["began", "cancelled 1"]
    reading.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Host().work()
    assert seen[2:] == ["began", "cancelled 1"]
    restore()


async def test_a_cancellation_while_the_store_is_read_leaves_the_hosts_time_outs_alone() -> None:
    """A time-out of the host's counts its task's cancellations: what came to us is none of them."""
    reading = asyncio.Event()
    seen: list[object] = []

    class Host:
        async def work(self) -> str:
            task = asyncio.current_task()
            assert task is not None
            seen.append(task.cancelling())
            async with asyncio.timeout(0):
                await asyncio.sleep(30)
            return "went on"

        async def at_once(self) -> str:
            return "done"

    for name in ("work", "at_once"):
        hook = Waiting(reading)
        restore = replace(Host, name, around(name, hook, Guard(name), vars(Host)[name]))
        assert restore is not None
        reading.clear()
        task = asyncio.create_task(getattr(Host(), name)())
        await reading.wait()
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        if name == "work":
            assert caught.value.args == ("why",)
        restore()
    assert seen == [0]


async def test_a_callable_object_that_gives_coroutines() -> None:
    class Work:
        async def __call__(self, number: int) -> int:
            hook.seen.append("host")
            return number + 1

    class Host:
        work = Work()

    hook = Hook()
    restore = replace(Host, "work", around("work", hook, Guard("work"), Host.work))
    assert restore is not None
    assert await Host.work(1) == 2
    assert hook.seen == ["before", "host", "after 2", "settle"]
    restore()
