"""Generators, async generators and contextlib's context managers, observed from step to step."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, cast

import pytest
from opentelemetry import context as otel_context

from gentrace.runtime import ambient, stepping
from gentrace.runtime.guard import MAX_FAILURES, Call, Guard, around
from gentrace.runtime.wrapping import replace
from tests.support.host import until

KEY, THEIRS = "ours", "theirs"
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


class Hook:
    """Puts something into the context, and notes what it sees, in order."""

    waits = False
    tells: Callable[[], None] | None = None

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def prepare(self, call: Call) -> None:
        """Awaits once."""
        self.seen.append("prepare")
        await asyncio.sleep(0)

    def before(self, call: Call) -> Any:
        self.seen.append("before")
        return otel_context.attach(otel_context.set_value(KEY, "inside"))

    def after(self, state: Any, call: Call, result: Any) -> None:
        self.seen.append(f"after {result}")

    def failed(self, state: Any, call: Call, exc: BaseException) -> None:
        self.seen.append(f"failed {exc!r}")

    def settle(self, state: Any) -> None:
        self.seen.append("settle")
        with contextlib.suppress(ValueError):
            state.var.reset(state)


def inside() -> object:
    """What of ours the host's code meets."""
    return otel_context.get_value(KEY)


class Host:
    """Goes through steps in each way; `log` tells what it met."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def several(self, fails: bool = False) -> Generator[Any, Any, str]:
        try:
            sent = yield "one"
            self.log.append((sent, inside(), variable.get()))
            if fails:
                raise ValueError("no")
            try:
                yield "two"
            except KeyError as exc:
                self.log.append(exc)
                yield "caught"
            return "done"
        finally:
            self.log.append(("closed", inside()))

    async def several_soon(self, fails: bool = False) -> AsyncGenerator[Any, Any]:
        try:
            sent = yield "one"
            await asyncio.sleep(0)
            self.log.append((sent, inside(), variable.get()))
            if fails:
                raise ValueError("no")
            try:
                yield "two"
            except KeyError as exc:
                self.log.append(exc)
                yield "caught"
        finally:
            await asyncio.sleep(0)
            self.log.append(("closed", inside()))

    @contextlib.contextmanager
    def held(self) -> Generator[str]:
        self.log.append(inside())
        try:
            yield "held"
        except KeyError as exc:
            self.log.append(exc)
        finally:
            self.log.append(("closed", inside()))

    @contextlib.asynccontextmanager
    async def held_soon(self) -> AsyncGenerator[str]:
        self.log.append(inside())
        try:
            yield "held"
        except KeyError as exc:
            self.log.append(exc)
        finally:
            await asyncio.sleep(0)
            self.log.append(("closed", inside()))

    def attaching(self) -> Generator[object]:
        """Leaves something of its own in the context between its steps, as bare ones do."""
        token = otel_context.attach(otel_context.set_value(THEIRS, "there"))
        yield inside()
        yield otel_context.get_value(THEIRS)
        otel_context.detach(token)
        yield otel_context.get_value(THEIRS)


@pytest.fixture
def hook() -> Generator[Hook]:
    """Hooks every method of the host's."""
    hook, undo = Hook(), list[Callable[[], None]]()
    for name, function in list(vars(Host).items()):
        if not name.startswith("_"):
            restore = replace(Host, name, around(name, hook, Guard(name), function))
            assert restore is not None
            undo.append(restore)
    yield hook
    for restore in undo:
        restore()


def test_a_generator_from_its_first_step_to_its_end(hook: Hook) -> None:
    host = Host()
    steps = host.several()
    assert inspect.isgenerator(steps)
    assert (steps.__name__, steps.__qualname__) == ("several", "Host.several")
    assert hook.seen == []
    assert next(steps) == "one"
    assert hook.seen == ["before"]
    assert inside() is None
    variable.set("the caller's")
    assert steps.send("sent") == "two"
    assert inside() is None
    error = KeyError("thrown")
    assert steps.throw(error) == "caught"
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value == "done"
    assert host.log == [("sent", "inside", "the caller's"), error, ("closed", "inside")]
    assert host.log[1] is error
    assert hook.seen == ["before", "after done", "settle"]
    assert inside() is None


def test_an_error_in_a_generator_is_the_hosts_own(hook: Hook) -> None:
    steps = Host().several(fails=True)
    next(steps)
    with pytest.raises(ValueError, match="no") as raised:
        next(steps)
    assert raised.value.__context__ is None
    assert hook.seen == ["before", "failed ValueError('no')", "settle"]


@pytest.mark.parametrize("way", ["close", "collected"])
def test_a_generator_that_is_left_early_is_closed(hook: Hook, way: str) -> None:
    host = Host()
    steps = host.several()
    next(steps)
    if way == "close":
        steps.close()
    else:
        del steps
        gc.collect()
    assert host.log == [("closed", "inside")]
    assert hook.seen == ["before", "after None", "settle"]


async def test_an_async_generator_from_its_first_step_to_its_end(hook: Hook) -> None:
    host = Host()
    steps = cast(Any, host.several_soon())
    assert inspect.isasyncgen(host.several_soon())
    assert (steps.__name__, steps.__qualname__) == ("several_soon", "Host.several_soon")
    hook.waits = True
    assert await anext(steps) == "one"
    assert hook.seen == ["prepare", "before"]
    assert inside() is None
    variable.set("the caller's")
    assert await steps.asend("sent") == "two"
    error = KeyError("thrown")
    assert await steps.athrow(error) == "caught"
    assert inside() is None
    with pytest.raises(StopAsyncIteration):
        await anext(steps)
    assert host.log == [("sent", "inside", "the caller's"), error, ("closed", "inside")]
    assert hook.seen == ["prepare", "before", "after None", "settle"]


async def test_an_error_in_an_async_generator_is_the_hosts_own(hook: Hook) -> None:
    steps = Host().several_soon(fails=True)
    await anext(steps)
    with pytest.raises(ValueError, match="no"):
        await anext(steps)
    assert hook.seen == ["before", "failed ValueError('no')", "settle"]


def test_an_async_generator_that_is_left_early_is_closed(hook: Hook) -> None:
    said: list[dict[str, Any]] = []

    def left(way: str) -> list[Any]:
        host = Host()

        async def leave() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, what: said.append(what))
            steps = host.several_soon()
            await anext(steps)
            if way == "aclose":
                await steps.aclose()
            elif way == "collected":
                del steps
                gc.collect()
                await until(lambda: len(hook.seen) == 3)
            else:
                kept.append(steps)  # until the loop is shut down

        asyncio.run(leave())
        return host.log

    kept: list[Any] = []
    for way in ("aclose", "collected", "with the loop"):
        hook.seen.clear()
        assert left(way)[-1:] == [("closed", "inside")], way
        assert hook.seen == ["before", "after None", "settle"], way
    assert said == []


async def test_a_cancellation_inside_a_step_reaches_the_host(hook: Hook) -> None:
    class Slow:
        async def work(self) -> AsyncGenerator[int]:
            try:
                await asyncio.sleep(30)
                yield 1
            except asyncio.CancelledError:
                met.append("cancelled")
                raise

    for waits in (False, True):
        met: list[str] = []
        hook, began = Hook(), asyncio.Event()
        hook.waits = waits

        async def prepare(call: Call, began: asyncio.Event = began) -> None:
            began.set()
            await asyncio.sleep(30)

        cast(Any, hook).prepare = prepare
        restore = replace(Slow, "work", around("work", hook, Guard("work"), Slow.work))
        assert restore is not None
        task = asyncio.ensure_future(anext(Slow().work()))
        await began.wait() if waits else await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert met == ["cancelled"]
        restore()


async def test_a_context_manager_from_its_enter_to_its_exit(hook: Hook) -> None:
    host, error = Host(), KeyError("thrown")
    manager = host.held()
    assert type(manager).__name__ == "_GeneratorContextManager"
    assert hook.seen == []
    with manager as held:
        assert (held, inside()) == ("held", None)
        raise error
    assert host.log == ["inside", error, ("closed", "inside")]
    assert hook.seen == ["before", "after held", "settle"]
    with pytest.raises(ValueError, match="no"), host.held():
        raise ValueError("no")
    assert hook.seen[3:] == ["before", "failed ValueError('no')", "settle"]
    host.log.clear()
    hook.seen.clear()
    async with host.held_soon() as held:
        assert (held, inside()) == ("held", None)
        raise error
    assert host.log == ["inside", error, ("closed", "inside")]
    assert hook.seen == ["before", "after held", "settle"]


async def test_what_a_plain_function_gives_is_part_of_its_work() -> None:
    class Giving:
        def several(self, host: Host) -> Generator[Any, Any, str]:
            host.log.append(inside())
            return host.several()

        def held(self, host: Host) -> contextlib.AbstractContextManager[str]:
            return host.held()

        def held_soon(self, host: Host) -> contextlib.AbstractAsyncContextManager[str]:
            return host.held_soon()

    hook, undo, host = Hook(), list[Callable[[], None]](), Host()
    for name in ("several", "held", "held_soon"):
        restore = replace(Giving, name, around(name, hook, Guard(name), vars(Giving)[name]))
        assert restore is not None
        undo.append(restore)
    variable.set("the caller's")
    steps = Giving().several(host)
    assert inside() is None
    assert hook.seen == ["before"]
    assert list(steps) == ["one", "two"]
    assert host.log == ["inside", (None, "inside", "the caller's"), ("closed", "inside")]
    assert hook.seen == ["before", "after done", "settle"]
    hook.seen.clear()
    with Giving().held(host) as held:
        assert (held, inside()) == ("held", None)
    async with Giving().held_soon(host) as held:
        assert (held, inside()) == ("held", None)
    assert hook.seen == ["before", "after held", "settle"] * 2
    assert host.log[3:] == ["inside", ("closed", "inside")] * 2
    hook.seen.clear()
    for unused in ("several", "held", "held_soon"):
        getattr(Giving(), unused)(host)
        gc.collect()
        assert inside() is None
    assert hook.seen == ["before", "after None", "settle"] * 3
    for restore in undo:
        restore()


async def test_what_is_never_started_is_never_observed(hook: Hook) -> None:
    host = Host()
    made = [host.several(), host.several_soon(), host.held(), host.held_soon()]
    made.clear()
    gc.collect()
    host.several().close()
    await host.several_soon().aclose()
    assert hook.seen == []
    with pytest.raises(TypeError, match=r"Host\.several\(\)"):
        cast(Any, host.several)(no_such_argument=1)


def test_what_the_host_puts_into_the_context_is_there_as_without_us(hook: Hook) -> None:
    def gone_through() -> list[object]:
        met: list[object] = []
        for step in Host().attaching():
            met += [step, otel_context.get_value(THEIRS), inside()]
        return met

    hooked = contextvars.copy_context().run(gone_through)
    assert hooked == ["inside", "there", None, "there", "there", None, None, None, None]
    assert hook.seen == ["before", "after None", "settle"]


def test_what_is_given_in_a_step_lives_no_longer_than_without_us(hook: Hook) -> None:
    class Given:
        pass

    class RaisedError(Exception):
        pass

    class Giving:
        def work(self) -> Generator[Given]:
            yield Given()
            yield Given()
            raise RaisedError

    restore = replace(Giving, "work", around("work", hook, Guard("work"), Giving.work))
    assert restore is not None
    steps = Giving().work()
    gc.disable()
    try:
        left = [weakref.ref(next(steps)), weakref.ref(next(steps))]
        assert left[0]() is None
        assert left[1]() is None

        def raised() -> weakref.ref[BaseException]:
            try:
                next(steps)
            except RaisedError as exc:
                return weakref.ref(exc)
            raise AssertionError

        left.append(cast(Any, raised()))
        assert left[2]() is None
    finally:
        gc.enable()
        restore()


def test_a_hook_that_fails_leaves_every_step_alone(swallowed: list[Any]) -> None:
    class Failing:
        def work(self) -> Generator[int, int, str]:
            got = yield 1
            yield got
            return "done"

    def fail(*_: object) -> None:
        raise RuntimeError("ours")

    for name in ("before", "after", "settle"):
        failing, guard = Hook(), Guard(f"failing {name}")
        setattr(failing, name, fail)
        restore = replace(Failing, "work", around("work", failing, guard, Failing.work))
        assert restore is not None
        for _ in range(MAX_FAILURES + 1):
            steps = Failing().work()
            assert (next(steps), steps.send(2)) == (1, 2)
            with pytest.raises(StopIteration, match="done"):
                next(steps)
            assert inside() is None
        assert guard.off
        restore()
    assert len(swallowed) == 3 * MAX_FAILURES


class FailingContext:
    """Our context, which fails when it is asked for the so-manieth time."""

    def __init__(self, at: int) -> None:
        self.fails_at, self.asked = at, 0

    def current(self) -> Any:
        self.asked += 1
        if self.asked == self.fails_at + 1:
            raise RuntimeError("ours")
        return ambient.current()

    def __getattr__(self, name: str) -> Any:
        return getattr(ambient, name)


@pytest.mark.parametrize("at", range(4))
def test_a_context_that_fails_leaves_every_step_alone(
    hook: Hook, at: int, swallowed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "ambient", FailingContext(at))

    def gone_through() -> tuple[list[Any], object]:
        host = Host()
        steps = host.several()
        given = [next(steps), steps.send("sent"), next(steps, "over")]
        return given, host.log[0][0]

    assert contextvars.copy_context().run(gone_through) == (["one", "two", "over"], "sent")
    assert len(swallowed) == 1


@pytest.mark.parametrize("at", range(3))
def test_a_context_that_fails_leaves_what_a_plain_function_gives(
    at: int, swallowed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Giving:
        def several(self) -> Generator[int]:
            return (number for number in (1, 2))

    failing, guard = FailingContext(at), Guard("several")
    restore = replace(Giving, "several", around("several", Hook(), guard, Giving.several))
    assert restore is not None
    monkeypatch.setattr(stepping, "ambient", failing)
    assert contextvars.copy_context().run(lambda: list(Giving().several())) == [1, 2]
    assert len(swallowed) == 1
    restore()
