"""The host's coroutine and a cancellation of its task that comes while we wait, before it began."""

from __future__ import annotations

import asyncio
import inspect
import types
from functools import partial
from typing import Any


class Started:
    """The host's coroutine, made when the host called; closed if ours never got to await it.

    A task that is cancelled before its first step leaves no "never awaited" warning behind, as
    it would not without us.
    """

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Any) -> None:
        self.coroutine = coroutine

    def __del__(self) -> None:
        if inspect.getcoroutinestate(self.coroutine) == inspect.CORO_CREATED:
            self.coroutine.close()


def count() -> int:
    """How often the task at work has been asked to stop; 0 where asyncio runs none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return 0
    return 0 if task is None else task.cancelling()


@types.coroutine
def at_its_first_await(coroutine: Any, args: tuple[Any, ...]) -> Any:
    """The host's awaitable, cancelled where it first waits.

    A cancellation that came while we waited is taken back, and made again once the host's code
    has got that far: what it asks of its task until then (a time-out does) is as without us.
    """
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    try:
        waited = coroutine.send(None)
    except StopIteration as done:
        task.cancel(*args)
        return done.value
    except BaseException:
        task.cancel(*args)
        raise
    task.cancel(*args)
    while True:
        try:
            sent = yield waited
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as exc:
            step = partial(coroutine.throw, exc)
        else:
            step = partial(coroutine.send, sent)
        try:
            waited = step()
        except StopIteration as done:
            return done.value
