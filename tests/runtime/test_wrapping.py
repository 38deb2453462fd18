"""Every kind of function and method that a host may have, hooked and not: no difference to see."""

from __future__ import annotations

import abc
import asyncio
import copy
import functools
import inspect
import pickle
import re
import sys
import typing
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, ClassVar, cast
from unittest import mock

import pytest

from gentrace.runtime.guard import Guard, around
from gentrace.runtime.wrapping import replace
from tests.runtime.test_guard import Hook, plainly
from tests.support.unhooked import unhooked


def twice(function: Callable[..., Any]) -> Callable[..., Any]:
    """Two decorators, one over the other."""

    @functools.wraps(function)
    async def inner(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return plainly(inner)


class Base:
    """What a service inherits from."""

    def inherited(self, text: str) -> list[Any]:
        return [type(self).__name__, text]

    async def overridden(self, text: str) -> list[Any]:
        return ["base", text]


class Service(Base):
    """One method of each kind; what each gives says who was called with what."""

    kept: ClassVar[list[str]] = []

    def method(self, text: str, *, loud: bool = False) -> list[Any]:
        return [type(self).__name__, text, loud]

    @classmethod
    def of_class(cls, text: str) -> list[Any]:
        return [cls.__name__, text]

    @staticmethod
    def static(text: str) -> list[Any]:
        return [text]

    @classmethod
    async def soon_of_class(cls, text: str) -> list[Any]:
        return [cls.__name__, text]

    @staticmethod
    async def soon_static(text: str) -> list[Any]:
        return [text]

    async def soon(self, text: str) -> list[Any]:
        await asyncio.sleep(0)
        return [type(self).__name__, text]

    @plainly
    async def decorated(self, text: str) -> list[Any]:
        return [type(self).__name__, text]

    @twice
    async def decorated_twice(self, text: str) -> list[Any]:
        return [type(self).__name__, text]

    async def overridden(self, text: str) -> list[Any]:
        return ["service", *await super().overridden(text)]

    def several(self, text: str) -> Generator[str, str, str]:
        sent = yield text
        return sent

    async def several_soon(self, text: str) -> AsyncGenerator[str]:
        yield text
        yield text

    def future(self, text: str) -> asyncio.Future[str]:
        made: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        made.set_result(text)
        return made

    partial = functools.partialmethod(method, loud=True)


class Heir(Service):
    """Inherits what is hooked."""


KINDS = [
    *("method", "of_class", "static", "soon_of_class", "soon_static", "soon", "decorated"),
    *("decorated_twice", "overridden", "several", "several_soon", "future", "inherited"),
]
every = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def hook(kind: str) -> Generator[Hook]:
    """Hooks `Service.<kind>` for a test."""
    hook = Hook()
    own = vars(Service).get(kind, vars(Base).get(kind))
    function = getattr(own, "__func__", own)
    before = vars(Service).get(kind)
    restore = replace(Service, kind, around(kind, hook, Guard(kind), function))
    assert restore is not None
    yield hook
    restore()
    assert vars(Service).get(kind) is before


async def called(function: Any) -> Any:
    """What a call gives, to its end."""
    given: Any = function("a")
    if isinstance(given, Generator):
        several = cast(Generator[str, str, str], given)
        first = next(several)
        try:
            several.send("b")
        except StopIteration as stop:
            return [first, stop.value]
    if inspect.isasyncgen(given):
        return [one async for one in given]
    return await given if inspect.isawaitable(given) else given


def looks(function: Any) -> dict[str, Any]:
    """What can be seen of it."""
    return {
        "signature": str(inspect.signature(function)),
        "coroutine": inspect.iscoroutinefunction(function),
        "async generator": inspect.isasyncgenfunction(function),
        "generator": inspect.isgeneratorfunction(function),
        "method": inspect.ismethod(function),
        "owner": getattr(function, "__self__", None),
        "name": (function.__name__, function.__qualname__, function.__module__, function.__doc__),
        "callable": callable(function),
    }


@every
async def test_by_instance_class_and_heir(kind: str, hook: Hook) -> None:
    instance, heir = Service(), Heir()
    ways = [getattr(instance, kind), getattr(heir, kind)]
    if kind in ("of_class", "static", "soon_of_class", "soon_static"):
        ways += [getattr(Service, kind), getattr(Heir, kind)]
    hooked = [(await called(way), looks(way)) for way in ways]
    assert hook.seen.count("settle") == len(ways)
    hidden = unhooked(vars(Service)[kind])
    for way, seen in zip(ways, hooked, strict=True):
        owner = way.__self__ if inspect.ismethod(way) else instance
        raw = hidden.__get__(
            owner if not inspect.isclass(owner) else None,
            owner if inspect.isclass(owner) else type(owner),
        )
        assert (await called(raw), looks(raw)) == seen


@every
def test_pickled_and_copied(kind: str, hook: Hook) -> None:
    function = getattr(Service, kind)
    if inspect.isfunction(function):
        assert copy.copy(function) is function
        assert copy.deepcopy(function) is function
    again = pickle.loads(pickle.dumps(getattr(Service, kind)))
    assert again == getattr(Service, kind)


@pytest.mark.parametrize("kind", ["method"])
def test_a_partial_method_of_it(kind: str, hook: Hook) -> None:
    assert Service().partial("a") == ["Service", "a", True]


@pytest.mark.parametrize("kind", ["overridden"])
async def test_super_calls(kind: str, hook: Hook) -> None:
    assert await Heir().overridden("a") == ["service", "base", "a"]
    assert hook.seen.count("before") == 1


def loose(text: str) -> str:
    """A function of a module."""
    return text


def test_a_copy_that_outlived_its_hook_is_pickled_as_the_function() -> None:
    module, own = sys.modules[__name__], loose
    restore = replace(module, "loose", around("loose", Hook(), Guard("loose"), own))
    assert restore is not None
    hooked = module.loose
    assert pickle.loads(pickle.dumps(hooked)) is hooked
    restore()
    assert module.loose is own
    assert pickle.loads(pickle.dumps(hooked)) is own


def test_what_another_has_put_round_ours_stays() -> None:
    class Host:
        def work(self) -> str:
            return "done"

    hook, guard = Hook(), Guard("work")
    restore = replace(Host, "work", around("work", hook, guard, Host.work))
    assert restore is not None
    Host.work = theirs = plainly(Host.work)
    guard.off = True
    restore()
    assert Host.work is theirs
    assert Host().work() == "done"
    assert hook.seen == []


@every
def test_it_is_one_object_of_the_hosts_kind(kind: str, hook: Hook) -> None:
    if kind == "inherited":
        return  # stands in the class that has it, when it is hooked there
    raw, own = vars(Service)[kind], unhooked(vars(Service)[kind])
    assert type(raw) is type(own)
    ours, bare = getattr(Service, kind), own.__get__(None, Service)
    assert (ours is getattr(Service, kind)) is (kind not in ("of_class", "soon_of_class"))
    assert type(ours) is type(bare)
    assert re.sub("0x[0-9a-f]+", "", repr(ours)) == re.sub("0x[0-9a-f]+", "", repr(bare))
    assert ours == getattr(Service, kind)
    assert hash(ours) == hash(getattr(Service, kind))
    assert {getattr(Service, kind): "registered"}[getattr(Service, kind)] == "registered"
    assert weakref.ref(ours)() is ours
    assert inspect.unwrap(ours) == inspect.unwrap(getattr(bare, "__func__", bare))
    assert typing.get_type_hints(ours) == typing.get_type_hints(bare)
    assert inspect.getsource(ours) == inspect.getsource(bare)
    if sys.version_info < (3, 14):
        asked = vars(asyncio)["iscoroutinefunction"]  # as arq 0.25 asks; deprecated by 3.14
        assert asked(ours) is asked(bare)


@every
async def test_a_mock_by_its_specification(kind: str, hook: Hook) -> None:
    with mock.patch.object(Service, kind, autospec=True) as instead:
        with pytest.raises(TypeError):
            await called(functools.partial(getattr(Service(), kind), no_such_argument=1))
        instead.return_value = ["mocked"]
        if kind not in ("several", "several_soon"):
            assert await called(getattr(Service(), kind)) == ["mocked"]
    assert hook.seen == []


def test_an_abstract_method_stays_one() -> None:
    class Abstract(abc.ABC):
        @abc.abstractmethod
        def work(self) -> str: ...

    class Real(Abstract):
        def work(self) -> str:
            return "done"

    hook = Hook()
    restore = replace(Abstract, "work", around("work", hook, Guard("work"), Abstract.work))
    assert restore is not None
    assert Real().work() == "done"
    assert vars(Abstract)["work"].__isabstractmethod__

    class Later(Abstract): ...

    with pytest.raises(TypeError, match="abstract"):
        cast(Any, Later)()
    restore()


def test_what_the_host_sets_on_it_stays_when_the_hook_is_gone() -> None:
    class Host:
        def work(self) -> str:
            return "done"

    own = Host.work
    vars(own)["before"] = 1
    restore = replace(Host, "work", around("work", Hook(), Guard("work"), own))
    assert restore is not None
    assert cast(Any, Host.work).before == 1
    cast(Any, Host.work).route = "/work"
    restore()
    assert Host.work is own
    assert vars(own) == {"before": 1, "route": "/work"}


class Borrowing:
    """Has a function that is at home in the module."""

    work = loose


def test_a_function_that_is_at_home_elsewhere_is_pickled_as_before() -> None:
    borrowing: Any = Borrowing
    own, hook = borrowing.work, Hook()
    restore = replace(borrowing, "work", around("work", hook, Guard("work"), own))
    assert restore is not None
    assert borrowing.work == own
    assert pickle.loads(pickle.dumps(borrowing.work)) == own
    restore()
    assert borrowing.work is own
