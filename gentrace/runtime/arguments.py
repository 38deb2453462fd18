"""The arguments of a call by name, whatever way they were given.

``inspect.Signature.bind_partial`` takes some microseconds a call; most functions need no more than
their names in order, which are looked up once a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class _Names:
    """What a function calls its arguments.

    Attributes:
        in_order: those that may be given by position.
        known: all that are given by a name of their own.
        rest: the name of its ``**kwargs``, if any.
        simple: nothing else is in it: no ``*args``, nothing by position alone.
    """

    __slots__ = ("in_order", "known", "rest", "signature", "simple")

    def __init__(self, signature: inspect.Signature) -> None:
        self.signature = signature
        parameters = signature.parameters.values()
        rest = [each.name for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD]
        self.rest = rest[0] if rest else None
        self.in_order = tuple(each.name for each in parameters if each.kind is _PLAIN[0])
        self.known = frozenset(each.name for each in parameters if each.kind in _PLAIN)
        self.simple = len(self.known) + len(rest) == len(parameters)


@lru_cache(maxsize=1024)
def _names(function: Any) -> _Names | None:
    try:
        return _Names(inspect.signature(function))
    except (TypeError, ValueError):
        return None


def forget() -> None:
    """Forget the functions that were seen (they are the host's)."""
    _names.cache_clear()


def by_name(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Argument name to value, only those that were given; what ``**kwargs`` took among them.

    Args:
        function: a function or bound method; what its call would refuse is not named.
    """
    names = _names(getattr(function, "__func__", function))
    if names is None:
        return dict(kwargs)
    owner = getattr(function, "__self__", None)
    if owner is not None:
        args = (owner, *args)
    if names.simple and len(args) <= len(names.in_order):
        bound = dict(zip(names.in_order, args, strict=False))
        if not kwargs:
            return bound
        if names.known.issuperset(kwargs) and bound.keys().isdisjoint(kwargs):
            bound.update(kwargs)
            return bound
    return _as_python_does(names, args, kwargs)


def _as_python_does(
    names: _Names, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        bound = dict(names.signature.bind_partial(*args, **kwargs).arguments)
    except TypeError:
        bound = dict(kwargs)  # the host's own call will raise the same error
    if names.rest is not None:
        bound.update(bound.get(names.rest, {}))
    return bound
