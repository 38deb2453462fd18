"""The other places that hold a function which is hooked, or a wrapper which is taken out again.

Names in the host's modules and classes are given the other object: an importer's own name for it.
What is held elsewhere (a list, a closure, a partial, a route) may be meant to stay as it is: it is
found through the garbage collector and named, for its calls are not seen.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import islice
from types import CellType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

from gentrace.runtime import stand_ins
from gentrace.runtime.wrapping import BoundHooked

Undo = Callable[[], None]
_HOPS = 4
_MOST = 20
_WAYS = 1000
# What is held by one of these is held by who holds that.
_THROUGH: dict[type[Any], str] = {
    list: "a list",
    tuple: "a tuple",
    set: "a set",
    dict: "a dict",
    CellType: "a closure",
    functools.partial: "a functools.partial",
    staticmethod: "a staticmethod",
    classmethod: "a classmethod",
    MethodType: "a bound method",
    BoundHooked: "a bound method",
}


def exchange(others: Mapping[int, Any], packages: Sequence[str]) -> list[tuple[str, int, Undo]]:
    """Give the host's names for an object the other one.

    Args:
        others: id of an object -> what stands in its place.

    Returns:
        One for each name: where it is, the object's id, and what puts it back.
    """
    done: list[tuple[str, int, Undo]] = []
    for owner, name, value in _names(packages):
        inner = value.__func__ if type(value) is staticmethod else value
        if id(inner) not in others:
            continue
        other = others[id(inner)]
        given = staticmethod(other) if inner is not value else other
        try:
            setattr(owner, name, given)
        except Exception:
            continue  # a class that is closed to changes keeps its copy, which is listed
        done.append((_place(owner, name), id(inner), _back(owner, name, value, given)))
    return done


def give_back(others: Mapping[int, Any], packages: Sequence[str]) -> None:
    """As :func:`exchange`, for good."""
    exchange(others, packages)


def _back(owner: Any, name: str, value: Any, given: Any) -> Undo:
    def undo() -> None:
        if vars(owner).get(name) is given:
            setattr(owner, name, value)

    return undo


def _names(packages: Sequence[str]) -> Generator[tuple[Any, str, Any]]:
    """Every name in the host's modules and in the classes that they define."""
    inside = tuple(f"{package}." for package in packages)
    for module in list(sys.modules.values()):
        name = getattr(module, "__name__", None)
        if type(name) is not str or type(module) is not ModuleType:
            continue
        if name not in packages and name != "__main__" and not name.startswith(inside):
            continue
        for key, value in list(vars(module).items()):
            yield module, key, value
            if issubclass(type(value), type) and value.__module__ == name:
                for attribute, held in list(vars(value).items()):
                    yield value, attribute, held


def _place(owner: Any, name: str) -> str:
    if issubclass(type(owner), type):
        return f"{owner.__module__}.{owner.__qualname__}.{name}"
    return f"{owner.__name__}.{name}"


def holders(objects: Sequence[Any], but: Callable[[str], bool]) -> dict[int, list[str]]:
    """Who else holds each of these objects, by its id, in words: at most :data:`_MOST` each.

    The heap is walked once for each of a few steps from holder to holder's holder, whatever the
    number of objects.

    Args:
        but: whether a holder, in words, is no news.
    """
    modules = _modules()
    held_by: dict[int, list[Any]] = {}
    level = list(objects)
    ours: list[Any] = [objects, level, held_by]
    for _ in range(_HOPS):
        found = [h for h in gc.get_referrers(*level) if type(h) is not FrameType]
        wanted = {id(one) for one in level} - held_by.keys()
        ours.append(found)
        known = {id(one) for one in ours}
        for holder in found:
            for one in gc.get_referents(holder) if id(holder) not in known else ():
                if id(one) in wanted:
                    held_by.setdefault(id(one), []).append(holder)
        known |= modules.keys()
        level = [h for h in found if type(h) in _THROUGH and id(h) not in known]
        ours.append(level)
        if not level:
            break
    ways = {id(one): islice(_chains([one], held_by, modules), _WAYS) for one in objects}
    return {one: sorted({w for w in words if not but(w)})[:_MOST] for one, words in ways.items()}


def _modules() -> dict[int, str]:
    """The names of modules by the id of their namespaces."""
    return {id(vars(m)): m.__name__ for m in list(sys.modules.values()) if type(m) is ModuleType}


def _chains(
    chain: list[Any], held_by: Mapping[int, list[Any]], modules: Mapping[int, str]
) -> Generator[str]:
    """The ways from an object to those who hold it; none to what is about to go."""
    for holder in held_by.get(id(chain[-1]), ()):
        if id(holder) in modules:
            yield _words(chain, f"{modules[id(holder)]}.{_name_in(holder, chain[-1])}")
        elif type(holder) not in _THROUGH:
            yield _words(chain, _told(holder, chain))
        elif len(chain) <= _HOPS and all(holder is not one for one in chain):
            yield from _chains([*chain, holder], held_by, modules)


def _told(holder: Any, chain: list[Any]) -> str:
    if stand_ins.is_one(holder):  # by its name it is the host's
        return stand_ins.__name__
    # by type alone: a wrapper passes for a function, and a lazy object would be loaded
    itself = issubclass(type(holder), type) or type(holder) is FunctionType
    named = holder if itself else type(holder)
    told = f"{named.__module__}.{named.__qualname__}"
    return f"{told}.{_name_in(chain[-1], chain[-2])}" if _is_namespace(chain) else told


def _is_namespace(chain: list[Any]) -> bool:
    """Whether the last is a dict that has the one before under a name."""
    return (
        len(chain) > 1 and type(chain[-1]) is dict and _name_in(chain[-1], chain[-2]).isidentifier()
    )


def _name_in(names: dict[Any, Any], one: Any) -> str:
    return next((str(name) for name, value in list(names.items()) if value is one), "?")


def _words(chain: list[Any], holder: str) -> str:
    """``a functools.partial in a list in <holder>``."""
    kinds = [type(one) for one in chain[1:]]
    if _is_namespace(chain) or (CellType in kinds and kinds[-1] is tuple):
        kinds.pop()  # of a class or an object; of a function, for its closure
    return " in ".join([*(_THROUGH[kind] for kind in kinds), holder])
