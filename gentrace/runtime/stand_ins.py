"""The plain function that stands in a class for a hooked method, in the method's own descriptor.

A wrapt object would give ``Class.method`` anew at each look, and a static method another type. A
plain function is one object, as the host's was; only what is no plain function is left to wrapt.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType, MethodType
from typing import Any

Enabled = Callable[[], bool] | None
_KINDS = (
    inspect.CO_COROUTINE
    | inspect.CO_GENERATOR
    | inspect.CO_ASYNC_GENERATOR
    | inspect.CO_ITERABLE_COROUTINE
)
_codes: dict[tuple[CodeType, int], CodeType] = {}


def _of_instances(function: Any, wrapper: Any, enabled: Enabled, bind: Any) -> Any:
    def passing(*args: Any, **kwargs: Any) -> Any:
        if not args or (enabled is not None and not enabled()):
            return function(*args, **kwargs)
        return wrapper(bind(function, args[0]), args[0], args[1:], kwargs)

    return passing


def _of_nothing(function: Any, wrapper: Any, enabled: Enabled, bind: Any) -> Any:
    def passing(*args: Any, **kwargs: Any) -> Any:
        if enabled is not None and not enabled():
            return function(*args, **kwargs)
        return wrapper(function, None, args, kwargs)

    return passing


def make(raw: Any, wrapper: Any, enabled: Enabled) -> Any:
    """What stands in a class for this entry of its namespace; None where it is no function's.

    Args:
        raw: a function, or a static or class method of one.
    """
    kind = type(raw)
    if kind is FunctionType:
        return _make(raw, _of_instances, wrapper, enabled)
    if kind not in (staticmethod, classmethod) or type(raw.__func__) is not FunctionType:
        return None
    made = kind(_make(raw.__func__, _of_nothing if kind is staticmethod else _of_instances,
                      wrapper, enabled))  # fmt: skip
    vars(made).update({k: v for k, v in vars(raw).items() if k != "__wrapped__"})
    return made


def _make(function: FunctionType, form: Any, wrapper: Any, enabled: Enabled) -> FunctionType:
    passing = form(function, wrapper, enabled, MethodType)
    # The host's globals: what reads a function's annotations looks their names up there
    made = FunctionType(
        _code(passing.__code__, function.__code__.co_flags & _KINDS),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        passing.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(made, function)
    return made


def _code(code: CodeType, kinds: int) -> CodeType:
    """The code, marked as the host's function is: ``inspect`` and arq ask no more than the mark.

    CPython itself goes by the instruction that makes a coroutine or generator, not by the mark.
    """
    if (code, kinds) not in _codes:
        _codes[code, kinds] = code.replace(co_flags=code.co_flags | kinds)
    return _codes[code, kinds]


def is_one(found: Any) -> bool:
    """Whether this function is one of ours."""
    return type(found) is FunctionType and any(found.__code__ is c for c in _codes.values())


def keep_what_was_set(made: Any, original: Any) -> None:
    """Give the function the attributes that the host has set on what stood for it."""
    made, original = inner(made), inner(original)
    if is_one(made):
        new = {k: v for k, v in vars(made).items() if k != "__wrapped__"}
        vars(original).update(new)


def inner(raw: Any) -> Any:
    """The function in a static or class method; anything else as it is."""
    return raw.__func__ if type(raw) in (staticmethod, classmethod) else raw
