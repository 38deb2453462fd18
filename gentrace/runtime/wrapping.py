"""Replacing a function with a wrapper that passes for it, and putting the original back."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import wrapt

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
    own = name in vars(owner)
    original = vars(owner)[name] if own else getattr(owner, name, None)
    if original is None or isinstance(original, Hooked):
        return None
    hooked = cast(Any, Hooked)(original, wrapper, enabled)
    setattr(owner, name, hooked)

    def restore() -> None:
        if vars(owner).get(name) is not hooked:
            return
        if own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)

    return restore
