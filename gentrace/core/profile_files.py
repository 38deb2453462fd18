"""Where a profile's text is: shipped, a file, or a package's entry point; and what it extends.

``extends`` is resolved here, on plain tables: what :mod:`gentrace.core.profile` reads is whole.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from gentrace.core import regular_files, switch
from gentrace.core.errors import ProfileError
from gentrace.core.tables import nearest

GROUP = "gentrace.profiles"
_Table = dict[str, Any]
Fault = Callable[[str, str], None]  # where, what
# The lists that are merged entry by entry, and what tells two entries apart
_KEYS: Mapping[str, Callable[[_Table], object]] = {
    "targets": lambda entry: entry.get("name"),
    "jobs": lambda entry: entry.get("function"),
    "routes": lambda entry: (entry.get("method"), entry.get("path")),
}


def locate(name_or_path: str) -> tuple[str, str]:
    """The TOML text and a name for messages, of a shipped profile, a file or an entry point.

    Raises:
        ProfileError: nothing is there, or it cannot be read.
    """
    if switch.is_path(name_or_path):
        return _read(Path(name_or_path), name_or_path), name_or_path
    shipped = Path(switch.PROFILES) / f"{name_or_path}.toml"
    if shipped.is_file():
        return _read(shipped, name_or_path), shipped.name
    from importlib.metadata import entry_points

    offered = {entry.name: set[str]() for entry in entry_points(group=GROUP)}
    for entry in entry_points(group=GROUP):
        offered[entry.name].add(entry.value)
    values = sorted(offered.get(name_or_path, ()))
    if len(values) > 1:
        raise ProfileError(
            f"profile {name_or_path!r}: two packages offer it ({', '.join(values)}); "
            "name the .toml file of the one that is meant"
        )
    if values:
        return _offered(name_or_path, values[0]), values[0]
    known = sorted(path.stem for path in shipped.parent.glob("*.toml"))
    others = f"; by installed packages: {', '.join(sorted(offered))}" if offered else ""
    raise ProfileError(
        f"profile {name_or_path!r}: no such profile; shipped: {', '.join(known)}{others}; "
        "or give the path of a .toml file"
    )


def _read(path: Path, shown: str) -> str:
    try:
        return regular_files.read_text(path)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8 text"
        raise ProfileError(f"profile {shown}: cannot be read: {reason}") from None


def _offered(name: str, value: str) -> str:
    """The text of an entry point ``package:file.toml``; nothing of the package is run but it."""
    from importlib import resources

    package, _, file = value.partition(":")
    try:
        offered = resources.files(package) / (file or f"{name}.toml")
        on_disk = isinstance(offered, Path)  # else in an archive
        return regular_files.read_text(offered) if on_disk else offered.read_text("utf-8")
    except Exception as exc:  # the package is imported for this, and may raise anything
        why = f"{type(exc).__name__}: {exc}".replace("\n", " ")
        raise ProfileError(
            f"profile {name}: its entry point {value} cannot be read: {why}"
        ) from None


def whole(text: str, source: str, fault: Fault) -> _Table:
    """The profile's table, with what it extends put under it.

    Args:
        fault: told of a target that is neither new nor known, which is then left out.

    Raises:
        ProfileError: not TOML, or what it extends cannot be used.
    """
    return _whole(text, source, (source,), fault)


def _whole(text: str, source: str, above: tuple[str, ...], fault: Fault) -> _Table:
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise ProfileError(f"profile {source}: not valid TOML: {exc}") from None
    base = table.pop("extends", None)
    if base is None:
        return table
    if not isinstance(base, str) or not base:
        raise ProfileError(f"profile {source}: extends: the name of a profile was expected")
    if switch.is_path(base):
        base = str(Path(source).parent / base)  # beside the file that says so
    found, name = locate(base)
    if name in above:
        raise ProfileError(f"profile {source}: extends: {' → '.join((*above, name))} is a circle")
    return _merged(_whole(found, name, (*above, name), fault), table, fault)


def _merged(below: _Table, table: _Table, fault: Fault) -> _Table:
    merged = dict(below)
    for key, value in table.items():
        old = below.get(key)
        if key in _KEYS and isinstance(value, list) and isinstance(old, list):
            entries = cast("list[Any]", value)
            merged[key] = _entries(cast("list[_Table]", old), entries, key, fault)
        elif isinstance(value, dict) and isinstance(old, dict):
            merged[key] = {**cast(_Table, old), **cast(_Table, value)}
        else:
            merged[key] = value
    return merged


def _entries(old: list[_Table], new: list[Any], key: str, fault: Fault) -> list[Any]:
    """The entries below, each with the keys that are given anew; then the ones that are new."""
    named = {_KEYS[key](entry): dict(entry) for entry in old}
    more: list[Any] = []
    for entry in new:
        name = _KEYS[key](cast(_Table, entry)) if isinstance(entry, dict) else None
        if name in named:
            named[name].update(cast(_Table, entry))
        elif key == "targets" and isinstance(name, str) and not {"role", "at"} <= {*entry}:
            hint = nearest(name, [str(n) for n in named]).partition("; known")[0]
            fault(
                f"targets[{name}]",
                "a new target needs role and at, and what is extended has none of that name" + hint,
            )
        else:
            more.append(entry)
    return [*named.values(), *more]
