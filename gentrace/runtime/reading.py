"""Reads ids and outcomes off the host's objects by path, without side effects.

A mapped SQLAlchemy object is read from its loaded state only: a plain ``getattr`` on an expired
attribute would run a query, or raise inside an async session.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

from gentrace.core.profile import Target
from gentrace.runtime.guard import Call

_MISSING: Any = object()


def field(obj: Any, name: str) -> Any:
    """``obj.name`` or ``obj[name]``, or None where it is not there or not loaded."""
    if obj is None:
        return None
    if isinstance(obj, Mapping):
        return obj.get(name)  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    state = getattr(obj, "__dict__", {}).get("_sa_instance_state")
    if state is not None:
        loaded = obj.__dict__.get(name, _MISSING)
        return _identity(state, name) if loaded is _MISSING else loaded
    if isinstance(obj, list | tuple) and name.isdigit():
        position = int(name)
        return obj[position] if position < len(obj) else None  # pyright: ignore[reportUnknownVariableType]
    return getattr(obj, name, None)


def _identity(state: Any, name: str) -> Any:
    """The primary key of a persistent object, which SQLAlchemy keeps when the rest expires."""
    identity = state.identity
    if identity is None or len(identity) != 1:
        return None
    keys = [column.key for column in state.manager.mapper.primary_key]
    return identity[0] if keys == [name] else None


def plain(value: Any) -> Any:
    """An enum's value; everything else as it is."""
    return value.value if isinstance(value, Enum) else value


@lru_cache(maxsize=1024)
def _parsed(path: str) -> tuple[str, tuple[str, ...]]:
    """Where a path begins, and its parts below that."""
    root, *parts = path.split(".")
    return root, tuple(parts)


def read(
    target: Target, key: str, call: Call, result: Any = None, error: BaseException | None = None
) -> Any:
    """The first value that the target's paths for ``key`` give, or None."""
    for path in target.read.get(key, ()):
        if path.startswith("="):
            return path[1:]
        root, parts = _parsed(path)
        value: Any
        if root == "args":
            value = call.arguments.get(parts[0]) if parts else None
            parts = parts[1:]
        elif root == "result":
            value = result
        elif root == "error":
            value = error
        else:
            value = call.instance
        for part in parts:
            value = field(value, part)
        value = plain(value)
        if value is not None:
            return value
    return None


def read_all(target: Target, key: str, call: Call) -> tuple[str, ...]:
    """Every text that the target's paths for ``key`` give, lists taken apart."""
    found: list[str] = []
    for path in target.read.get(key, ()):
        only = Target(target.name, target.role, (), {key: (path,)})
        value = read(only, key, call)
        for item in value if isinstance(value, list | tuple) else (value,):  # pyright: ignore[reportUnknownVariableType]
            if isinstance(item, str) and item:
                found.append(item)
    return tuple(found)


def text(value: Any) -> str | None:
    """An id or word as a string; None stays None. Only scalars: nothing else is shown."""
    value = plain(value)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str | int | float):
        return str(value)[:200]
    if type(value).__name__ == "UUID":
        return str(value)
    return None


def read_text(
    target: Target, key: str, call: Call, result: Any = None, error: BaseException | None = None
) -> str | None:
    """As :func:`read`, as a short string."""
    return text(read(target, key, call, result, error))
