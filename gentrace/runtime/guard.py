"""The guard around every piece of our work in the host, and the wrapper that stands round a call.

Our work runs only inside a guard, which catches ``Exception`` and never ``BaseException``; the
host's call stands bare between two guards. A hook that keeps failing switches itself off.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gentrace.runtime import ambient, arguments, cancelling, notices, stepping

MAX_FAILURES = 20


class Guard:
    """Counts one hook's failures and switches it off after :data:`MAX_FAILURES` in a row.

    Attributes:
        off: the hook passes its calls straight through.
        gave_up: that is because it kept failing.
        on_off: told when it gives up; it must not raise.
    """

    __slots__ = ("failures", "gave_up", "name", "off", "on_off", "total")

    def __init__(self, name: str, on_off: Callable[[], None] | None = None) -> None:
        self.name, self.failures, self.total, self.off = name, 0, 0, False
        self.gave_up, self.on_off = False, on_off

    def failed(self, exc: Exception) -> None:
        """Our work failed: count it, say it once, switch off when it goes on."""
        self.failures += 1
        self.total += 1
        notices.swallowed(f"hook {self.name}", exc)
        if self.failures >= MAX_FAILURES and not self.off:
            self.off = self.gave_up = True
            notices.say_once(
                f"off:{self.name}",
                f"hook {self.name} failed {self.failures} times in a row and is switched off",
            )
            if self.on_off is not None:
                self.on_off()

    def passed(self) -> None:
        """Our work went well: failures in a row start again at none."""
        self.failures = 0


class Call:
    """One call of a hooked function: its arguments by name, whatever way they were given."""

    __slots__ = ("_bound", "args", "function", "instance", "kwargs", "name")

    def __init__(
        self,
        name: str,
        function: Any,
        instance: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        self.name, self.function, self.instance = name, function, instance
        self.args, self.kwargs = args, kwargs
        self._bound: dict[str, Any] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Argument name to value; only those that were given."""
        if self._bound is None:
            self._bound = arguments.by_name(self.function, self.args, self.kwargs)
        return self._bound


class Hook(Protocol):
    """What a role does around a call. Each method may fail: the guard takes it.

    ``before`` returns a state, or None when this call is not observed. ``settle`` is always
    called last for a state, also when ``after`` or ``failed`` went wrong.
    """

    waits: bool

    async def prepare(self, call: Call) -> None:
        """Awaited before ``before`` where ``waits`` is set: at most the store's one read."""
        ...

    def before(self, call: Call) -> Any: ...
    def after(self, state: Any, call: Call, result: Any) -> None: ...
    def failed(self, state: Any, call: Call, exc: BaseException) -> None: ...
    def settle(self, state: Any) -> None: ...


class Observer:
    """One hook at work around calls: what is done before and after each, and in whose guard."""

    __slots__ = ("guard", "hook", "name")

    def __init__(self, name: str, hook: Hook, guard: Guard) -> None:
        self.name, self.hook, self.guard = name, hook, guard

    def enter(self, call: Call) -> Any:
        """Begin to observe; None where this call is not observed."""
        outside = ambient.mark()
        try:
            state = self.hook.before(call)
        except Exception as exc:
            self.guard.failed(exc)
            ambient.restore(outside)  # wherever it had got to
            return None
        if state is None:
            self.guard.passed()
            return None
        return state, outside

    def leave(
        self, entered: Any, work: Callable[..., None], call: Call, what: Any, well: bool
    ) -> None:
        """The host's call is over: ``work`` is the hook's word for how."""
        # `what` stays an argument: in a closure, the host's exception would hold itself alive
        state, outside = entered
        try:
            work(state, call, what)
        except Exception as exc:
            self.guard.failed(exc)
            well = False
        try:
            self.hook.settle(state)
        except Exception as exc:
            self.guard.failed(exc)
            ambient.restore(outside)
            well = False
        if well:
            self.guard.passed()

    async def prepare(self, call: Call) -> tuple[bool, tuple[Any, ...] | None]:
        """Await the store's word.

        Returns:
            Whether all went well; with what a cancellation came that is meant for the host's call.
        """
        before = cancelling.count()
        try:
            await self.hook.prepare(call)
        except asyncio.CancelledError as exc:
            if cancelling.count() > before:
                return True, exc.args
            return False, None
        except Exception as exc:
            self.guard.failed(exc)
            return False, None
        return True, None


def around(name: str, hook: Hook, guard: Guard, original: Any) -> Callable[..., Any]:
    """A wrapper that lets ``hook`` observe the calls of ``original``.

    The result and the exception are the host's own objects; an ``async def`` stays one. What is
    gone through step by step is observed from its first step to its end (runtime/stepping.py).
    """
    observer = Observer(name, hook, guard)
    enter, leave = observer.enter, observer.leave

    async def drive(call: Call, started: cancelling.Started) -> Any:
        well, coroutine = True, started.coroutine
        if hook.waits:
            well, cancelled = await observer.prepare(call)
            if cancelled is not None:
                coroutine = cancelling.at_its_first_await(coroutine, cancelled)
        entered = enter(call)
        if entered is None:
            return await coroutine
        try:
            result = await coroutine
        except BaseException as exc:
            leave(entered, hook.failed, call, exc, well)
            raise
        leave(entered, hook.after, call, result, well)
        return result

    def asynchronous(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        coroutine = wrapped(*args, **kwargs)  # wrong arguments raise here, as they always did
        if guard.off or not inspect.iscoroutine(coroutine):
            return coroutine
        call = Call(name, wrapped, instance, args, kwargs)
        driven = drive(call, cancelling.Started(coroutine))
        driven.__name__, driven.__qualname__ = coroutine.__name__, coroutine.__qualname__
        return driven

    def stepwise(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        made = wrapped(*args, **kwargs)
        if guard.off:
            return made
        return stepping.observed(observer, Call(name, wrapped, instance, args, kwargs), made)

    def synchronous(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if guard.off:
            return wrapped(*args, **kwargs)
        call = Call(name, wrapped, instance, args, kwargs)
        entered = enter(call)
        if entered is None:
            return wrapped(*args, **kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as exc:
            leave(entered, hook.failed, call, exc, True)
            raise
        if stepping.goes_on(result):
            return stepping.observed(observer, call, result, entered)
        leave(entered, hook.after, call, result, True)
        return result

    # a decorator may be a plain function that returns the coroutine of what it decorates
    forms = (original, inspect.unwrap(original), vars(type(original)).get("__call__"))
    if any(inspect.iscoroutinefunction(form) for form in forms):
        return asynchronous
    by_steps = (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return stepwise if any(is_so(form) for form in forms for is_so in by_steps) else synchronous
