"""Whether a request is for a route that the profile names: told by its method and path alone.

Nearly every request is for another one. These cost a look into a table, and never reach the
application's own routes, which are asked only about what may be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gentrace.core.profile import Route

_PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
_TYPES = {
    "int": "[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": "[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}",
    "path": ".*",
}
"""What a typed parameter takes, as Starlette's convertors have it."""


@dataclass(frozen=True, slots=True)
class Named:
    """A route that the profile names.

    Attributes:
        path: as the profile has it.
        found: the values of its parameters.
        exact: the request's path is the route's, letter by letter.
    """

    path: str
    found: tuple[str, ...] = ()
    exact: bool = True


class Routes:
    """The routes that the profile names."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[str, dict[str, Named]] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], str]]] = {}
        for route in routes:
            method, path = route.method.upper(), route.path.rstrip("/")
            self._plain.setdefault(method, {})
            if "{" in path:
                self._patterns.setdefault(method, []).append((_pattern(path), path))
                continue
            self._plain[method][path] = Named(path)
            self._plain[method][path + "/"] = Named(path, exact=False)

    def match(self, asgi: Mapping[str, Any]) -> Named | None:
        """The route that a request's method and path name, with and without its root path."""
        plain = self._plain.get(asgi["method"])
        if plain is None:
            return None
        path, root = asgi["path"], asgi.get("root_path")
        named = plain.get(path) or self._matched(asgi["method"], path)
        if named is None and root:
            inner = path.removeprefix(root) if path.startswith(root) else root + path
            named = plain.get(inner) or self._matched(asgi["method"], inner)
        return named

    def _matched(self, method: str, path: str) -> Named | None:
        for pattern, route in self._patterns.get(method, ()):
            found = pattern.fullmatch(path)
            if found is not None:
                return Named(route, found.groups(), exact=False)
        return None


def is_of(named: Named, route: str | None, path: str) -> bool:
    """Whether the application's route for such a request is the one that is named.

    Args:
        route: the template that it answers with; that of a mount where another application does;
            None where none of its routes takes the path.
    """
    if named.exact:
        return True
    if route is None:
        return False
    if plain(route) == plain(named.path):
        return True
    return "{" not in route and route.rstrip("/") != path.rstrip("/") and path.startswith(route)


def plain(route: str) -> str:
    """A route without the types of its parameters: ``{order_id:int}`` is ``{order_id}``."""
    return _PARAMETER.sub(r"{\1}", route.rstrip("/"))


def _pattern(route: str) -> re.Pattern[str]:
    made, end = "", 0
    for found in _PARAMETER.finditer(route):
        made += re.escape(route[end : found.start()])
        made += f"({_TYPES.get(found[2] or '', '[^/]+')})"
        end = found.end()
    return re.compile(f"{made}{re.escape(route[end:])}/?")
