"""Replacing a function with a wrapper that passes for it, and putting the original back.

In a class that is a plain function (stand_ins.py), anywhere else a wrapt object, which is equal to
the function and hashes as it does.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import wrapt

from gentrace.runtime import stand_ins

if TYPE_CHECKING:
    _BoundWrapper = wrapt.BoundFunctionWrapper[Any, Any]
    _Wrapper = wrapt.FunctionWrapper[Any, Any]
else:  # wrapt 1 has no such subscript
    _BoundWrapper, _Wrapper = wrapt.BoundFunctionWrapper, wrapt.FunctionWrapper

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]


def _place(function: Any) -> str:
    return f"{function.__module__}:{function.__qualname__}"


class BoundHooked(_BoundWrapper):
    """A hooked method as callers get it: pickled, as any, by its owner and name."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        function = self.__wrapped__
        owner = getattr(function, "__self__", None)
        if owner is not None:
            return (getattr, (owner, function.__name__))
        return (pkgutil.resolve_name, (_place(function),))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Hooked(_Wrapper):
    """A hooked function: pickled by name, copied as itself, as functions are.

    A copy that outlived its hook is no longer what the name stands for; what is pickled is.
    """

    __bound_function_wrapper__ = BoundHooked

    def __reduce_ex__(self, protocol: Any) -> Any:
        name = _place(self.__wrapped__)
        if pkgutil.resolve_name(name) is self:
            return self.__wrapped__.__qualname__
        return (pkgutil.resolve_name, (name,))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def is_hook(raw: Any) -> bool:
    """Whether this entry of a namespace is a wrapper of ours, in a descriptor or not."""
    return isinstance(raw, Hooked) or stand_ins.is_one(stand_ins.inner(raw))


def wrapper_in(raw: Any) -> Any:
    """The object itself that copies of a hooked entry are copies of."""
    return raw if isinstance(raw, Hooked) else stand_ins.inner(raw)


def _is_at_home_elsewhere(owner: Any, name: str, raw: Any) -> bool:
    """Whether the function's own name leads to it at another place: it is pickled by that."""
    function = stand_ins.inner(raw)
    qualname = getattr(function, "__qualname__", "")
    if qualname == f"{owner.__qualname__}.{name}":
        return False
    try:
        found = pkgutil.resolve_name(_place(function))
    except (AttributeError, ImportError, ValueError):
        return False
    return found is function


def replace(
    owner: Any, name: str, wrapper: Wrapper, enabled: Callable[[], bool] | None = None
) -> Callable[[], None] | None:
    """Put a wrapper round ``owner.name``; returns what puts the original back.

    None where there is nothing of that name, or it is hooked already. An attribute that a class
    inherits is replaced on the class itself and removed again. What somebody else has put round
    ours since stays: ours then passes straight through.

    Args:
        enabled: asked at each call; where it says no, the wrapper is passed over.
    """
    own, in_class = name in vars(owner), inspect.isclass(owner)
    look_up = inspect.getattr_static if in_class else getattr
    original = vars(owner)[name] if own else look_up(owner, name, None)
    if original is None or is_hook(original):
        return None
    hooked = None
    if in_class and not _is_at_home_elsewhere(owner, name, original):
        hooked = stand_ins.make(original, wrapper, enabled)
    if hooked is None:
        hooked = cast(Any, Hooked)(original, wrapper, enabled)
    setattr(owner, name, hooked)

    def restore() -> None:
        if vars(owner).get(name) is not hooked:
            return
        stand_ins.keep_what_was_set(hooked, original)
        if own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)

    return restore
