"""Observes what is gone through step by step, from its first step to its end.

That is a generator, an async generator, or a context manager that contextlib made of one: each
keeps its kind, and every ``send``, ``throw`` and ``close`` reaches the host's own. What we put into
OpenTelemetry's context is there during a step only, so that whoever takes the steps never sees it.
What is never started is never observed.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context

from gentrace.runtime import ambient, cancelling

if TYPE_CHECKING:
    from gentrace.runtime.guard import Call, Observer

_MANAGER: Any = vars(contextlib)["_GeneratorContextManagerBase"]
_KINDS = (GeneratorType, AsyncGeneratorType, _MANAGER)


def goes_on(made: Any) -> bool:
    """Whether what a plain function gave is gone through only later."""
    return isinstance(made, _KINDS)


def observed(observer: Observer, call: Call, made: Any, entered: Any = None) -> Any:
    """The same, observed; a context manager stays the very object, its generator is exchanged.

    Args:
        entered: of a plain function that has given it: it is observed already.
    """
    steps = _Steps(observer, call, isinstance(made, _MANAGER))
    if entered is not None:
        steps.go_on(entered)
    if isinstance(made, _MANAGER):
        manager: Any = made
        manager.gen = _driven(steps, manager.gen)
        return manager
    if isinstance(made, _KINDS):
        return _driven(steps, made)
    entered = observer.enter(call)  # a decorator has made something else of it: it is whole by now
    if entered is not None:
        observer.leave(entered, observer.hook.after, call, made, True)
    return made


def _driven(steps: _Steps, made: Any) -> Any:
    drive: Any = _steps if inspect.isgenerator(made) else _steps_async
    driven = drive(steps, made)
    driven.__name__, driven.__qualname__ = made.__name__, made.__qualname__
    return driven


class _Steps:
    """The observation of one generator, and what of its context goes in and out with each step."""

    __slots__ = (
        "_added", "_base", "_call", "_entered", "_given", "_is_manager", "_observer", "_ours",
        "_value", "well",
    )  # fmt: skip

    def __init__(self, observer: Observer, call: Call, is_manager: bool) -> None:
        self._observer, self._call, self._is_manager = observer, call, is_manager
        self._entered: Any = None
        self._base: Any = None
        self._given: Any = None
        self._added: dict[str, Any] = {}
        self._ours: dict[str, Any] = {}
        self._value: Any = None
        self.well = True

    async def prepare(self) -> tuple[Any, ...] | None:
        """Await the store's word; with what a cancellation came that is meant for the host."""
        if not self._observer.hook.waits or self._entered is not None:
            return None
        self.well, cancelled = await self._observer.prepare(self._call)
        return cancelled

    def go_on(self, entered: Any) -> None:
        """The call is observed, and what it gave is not gone through yet."""
        try:
            self._entered, self._base = entered, ambient.at(entered[1])
            self._ours = _differing(ambient.current(), self._base)
            self.go_out(None)
        except Exception as exc:
            self._failed(exc)

    def __del__(self) -> None:
        if self._entered is not None:  # what a plain function gave is thrown away unused
            self.go_in()
            self.over(None)

    def begin(self) -> None:
        """The first step is about to be taken."""
        if self._entered is not None:
            self.go_in()
            return
        try:
            self._base = self._given = ambient.current()
            self._entered = self._observer.enter(self._call)
            if self._entered is not None:
                self._ours = self._added = _differing(ambient.current(), self._base)
        except Exception as exc:
            self._failed(exc)

    def go_in(self) -> None:
        """A further step: the caller's context, with what was put into it inside before."""
        if self._entered is None:
            return
        try:
            now = ambient.current()
            if now is not self._given:
                theirs = self._theirs()
                kept = {k: v for k, v in now.items() if theirs.get(k) is not v}
                self._base = now if len(kept) == len(now) else Context(kept)
            ambient.attach(Context({**self._base, **self._added}))
        except Exception as exc:
            self._failed(exc)

    def go_out(self, value: Any) -> None:
        """The step is over: the caller gets back its context, with what the host put into it."""
        if self._entered is None:
            return
        try:
            if self._is_manager and self._value is None:
                self._value = value
            self._added = _differing(ambient.current(), self._base)
            self._give_back()
        except Exception as exc:
            self._failed(exc)

    def over(self, exc: BaseException | None, result: Any = None) -> None:
        """It ended; a ``GeneratorExit`` is the caller's close and no error."""
        entered, self._entered = self._entered, None
        if entered is None:
            return
        hook = self._observer.hook
        try:
            self._added = _differing(ambient.current(), self._base)
            if exc is None or isinstance(exc, GeneratorExit):
                what = self._value if self._is_manager else result
                self._observer.leave(entered, hook.after, self._call, what, self.well)
            else:
                self._observer.leave(entered, hook.failed, self._call, exc, self.well)
            self._value = None
            self._give_back()
        except Exception as failure:
            self._failed(failure)

    def _failed(self, exc: Exception) -> None:
        self.well = False
        self._observer.guard.failed(exc)

    def _give_back(self) -> None:
        theirs = self._theirs()
        self._given = Context({**self._base, **theirs}) if theirs else self._base
        ambient.attach(self._given)

    def _theirs(self) -> dict[str, Any]:
        return {k: v for k, v in self._added.items() if self._ours.get(k) is not v}


def _differing(now: Any, base: Any) -> dict[str, Any]:
    if now is base:
        return {}
    return {key: value for key, value in now.items() if base.get(key) is not value}


def _steps(steps: _Steps, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    steps.begin()
    step: Callable[[Any], Any] | None = generator.send
    argument: Any = None
    value: list[Any] = []  # popped, so that we hold nothing of the host's between two steps
    while True:
        try:
            assert step is not None
            value.append(step(argument))
        except StopIteration as done:
            steps.over(None, done.value)
            return done.value
        except BaseException as exc:
            step = argument = None  # else the exception would hold itself alive
            steps.over(exc)
            raise
        step = argument = None
        steps.go_out(value[0])
        try:
            argument = yield value.pop()
            step = generator.send
        except BaseException as exc:
            step, argument = generator.throw, exc
        steps.go_in()


async def _steps_async(steps: _Steps, generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any]:
    cancelled = await steps.prepare()
    steps.begin()
    step: Any = _first(generator)
    if cancelled is not None:
        step = cancelling.at_its_first_await(step, cancelled)
    value: list[Any] = []
    while True:
        try:
            value.append(await step)
        except StopAsyncIteration:
            steps.over(None)
            return
        except BaseException as exc:
            step = None
            steps.over(exc)
            raise
        step = None
        steps.go_out(value[0])
        try:
            step = generator.asend((yield value.pop()))
        except BaseException as exc:
            step = generator.athrow(exc)
        steps.go_in()


def _first(generator: AsyncGenerator[Any, Any]) -> Any:
    """Its first step, unknown to the event loop: that knows ours, and would close both at once."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)
