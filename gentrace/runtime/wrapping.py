"""Replacing a function with a wrapper that passes for it, and putting the original back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import wrapt

if TYPE_CHECKING:
    _BoundWrapper = wrapt.BoundFunctionWrapper[Any, Any]
    _Wrapper = wrapt.FunctionWrapper[Any, Any]
else:  # wrapt 1 has no such subscript
    _BoundWrapper, _Wrapper = wrapt.BoundFunctionWrapper, wrapt.FunctionWrapper

Wrapper = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]


class _BoundHooked(_BoundWrapper):
    """A hooked method of an instance: pickled, as any method, by instance and name."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        owner = self._self_instance  # pyright: ignore[reportAttributeAccessIssue]
        return (getattr, (owner, self.__wrapped__.__name__))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Hooked(_Wrapper):
    """A hooked function: pickled by name, copied as itself, as functions are."""

    __bound_function_wrapper__ = _BoundHooked

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__qualname__

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


def replace(owner: Any, name: str, wrapper: Wrapper) -> Callable[[], None] | None:
    """Put a wrapper round ``owner.name``; returns what puts the original back.

    None where there is nothing of that name, or it is hooked already. An attribute that a class
    inherits is replaced on the class itself and removed again.
    """
    own = name in vars(owner)
    original = vars(owner)[name] if own else getattr(owner, name, None)
    if original is None or isinstance(original, Hooked):
        return None
    setattr(owner, name, cast(Any, Hooked)(original, wrapper))

    def restore() -> None:
        if own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)

    return restore
