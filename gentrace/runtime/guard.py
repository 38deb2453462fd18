"""The guard around every piece of our work in the host, and the wrapper that stands round a call.

Our work runs only inside a guard, which catches ``Exception`` and never ``BaseException``; the
host's call stands bare between two guards. A hook that keeps failing switches itself off.
"""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Protocol

from gentrace.runtime import ambient, notices

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


@lru_cache(maxsize=1024)
def _signature(function: Any) -> tuple[inspect.Signature | None, str | None]:
    """The function's signature, and the name of its ``**kwargs``, if any."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None, None
    rest = inspect.Parameter.VAR_KEYWORD
    return signature, next((n for n, p in signature.parameters.items() if p.kind is rest), None)


def forget() -> None:
    """Forget the functions that were seen (they are the host's)."""
    _signature.cache_clear()


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
            signature, rest = _signature(getattr(self.function, "__func__", self.function))
            bound = dict(self.kwargs)
            if signature is not None:
                owner = getattr(self.function, "__self__", None)
                args = self.args if owner is None else (owner, *self.args)
                try:
                    bound = dict(signature.bind_partial(*args, **self.kwargs).arguments)
                except TypeError:
                    pass  # the host's own call will raise the same error
            if rest is not None:
                bound.update(bound.get(rest, {}))
            self._bound = bound
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


class _Started:
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


def _cancellations() -> int:
    """How often the task at work has been asked to stop; 0 where asyncio runs none."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return 0
    return 0 if task is None else task.cancelling()


@types.coroutine
def _cancelled_at_its_first_await(coroutine: Any, args: tuple[Any, ...]) -> Any:
    """The host's coroutine, cancelled where it first waits.

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


def around(name: str, hook: Hook, guard: Guard, original: Any) -> Callable[..., Any]:
    """A wrapt wrapper that lets ``hook`` observe the calls of ``original``.

    The result and the exception are the host's own objects; an ``async def`` stays one.
    """

    def enter(call: Call) -> Any:
        outside = ambient.mark()
        try:
            state = hook.before(call)
        except Exception as exc:
            guard.failed(exc)
            ambient.restore(outside)  # wherever it had got to
            return None
        if state is None:
            guard.passed()
            return None
        return state, outside

    def leave(entered: Any, work: Callable[..., None], call: Call, what: Any, well: bool) -> None:
        # `what` stays an argument: in a closure, the host's exception would hold itself alive
        state, outside = entered
        try:
            work(state, call, what)
        except Exception as exc:
            guard.failed(exc)
            well = False
        try:
            hook.settle(state)
        except Exception as exc:
            guard.failed(exc)
            ambient.restore(outside)
            well = False
        if well:
            guard.passed()

    async def drive(call: Call, started: _Started) -> Any:
        well, coroutine = True, started.coroutine
        if hook.waits:
            before = _cancellations()
            try:
                await hook.prepare(call)
            except asyncio.CancelledError as exc:
                if _cancellations() > before:  # meant for the host's call
                    coroutine = _cancelled_at_its_first_await(coroutine, exc.args)
                else:
                    well = False
            except Exception as exc:
                guard.failed(exc)
                well = False
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
        driven = drive(Call(name, wrapped, instance, args, kwargs), _Started(coroutine))
        driven.__name__, driven.__qualname__ = coroutine.__name__, coroutine.__qualname__
        return driven

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
        leave(entered, hook.after, call, result, True)
        return result

    # a decorator may be a plain function that returns the coroutine of what it decorates
    forms = (original, inspect.unwrap(original), vars(type(original)).get("__call__"))
    is_async = any(inspect.iscoroutinefunction(form) for form in forms)
    return asynchronous if is_async else synchronous
