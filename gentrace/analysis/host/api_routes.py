"""The routes of a FastAPI host, as far as its source tells: decorators below routers' prefixes.

Where a router is included by code that only a running host knows (plugins, settings), any prefix
that stands anywhere in the host may be before its routes.

Source: fastapi 0.100 to 0.165, ``APIRouter(prefix)``, ``include_router(router, prefix)``,
``add_api_route``, ``api_route``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gentrace.analysis.host.arq_functions import _last
from gentrace.analysis.host.text import HostText, nearest
from gentrace.core.profile import Route

_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "trace"})
_PARAMETER = re.compile(r"\{[^{}]*\}")
_PREFIX = re.compile(r"""prefix\w*\s*(?::\s*\w+\s*)?=\s*["'](/[^"'\s]*)["']""", re.IGNORECASE)
_DEEP = 6
Router = tuple[str, str]  # the module, and the name in it


@dataclass(frozen=True, slots=True)
class _Declared:
    method: str
    path: str
    router: Router


@dataclass(slots=True)
class Routes:
    """What was found.

    Attributes:
        declared: a route each, its path as its decorator has it.
        own: the prefix of each router that is made in a file.
        mounts: where each router is included: below which other, with which prefix; None where
            that cannot be read.
        prefixes: every prefix that stands anywhere.
    """

    declared: list[_Declared] = field(default_factory=list[_Declared])
    own: dict[Router, str | None] = field(default_factory=dict[Router, str | None])
    apps: set[Router] = field(default_factory=set[Router])
    mounts: dict[Router, list[tuple[Router, str | None]]] = field(
        default_factory=dict[Router, list[tuple[Router, str | None]]]
    )
    prefixes: set[str] = field(default_factory=set[str])

    def has(self, route: Route) -> bool:
        """Whether the host may have that route."""
        method, path = route.method.upper(), _plain(route.path)
        return any(
            path.endswith(_plain(each.path)) and path in self._paths(each)
            for each in self.declared
            if each.method in (method, "*")
        )

    def meant(self, route: Route) -> str:
        """The host's route that was probably meant, with its method; empty where none is alike."""
        method, path = route.method.upper(), _plain(route.path)
        every = {f"{each.method} {p}" for each in self.declared for p in self._alike(each, path)}
        others = sorted(told for told in every if told.partition(" ")[2] == path)
        own = {told for told in every if told.startswith(f"{method} ")}
        return others[0] if others else nearest(f"{method} {path}", own, 0.7)

    def _alike(self, declared: _Declared, path: str) -> list[str]:
        """The route's paths below prefixes that the path begins with, or nearly."""
        prefixes = self._before(declared.router)
        if prefixes is None:
            own = self.own.get(declared.router) or ""
            known = {p for p in self.prefixes if path.startswith(p)}
            known |= {p for p in self.prefixes if nearest(path[: len(p)], [p])}
            prefixes = {p + own for p in known}
        return [_plain(prefix + declared.path) for prefix in prefixes]

    def _paths(self, declared: _Declared) -> set[str]:
        prefixes = self._before(declared.router)
        if prefixes is None:
            own = self.own.get(declared.router) or ""
            prefixes = {a + b + own for a in self.prefixes for b in self.prefixes}
        return {_plain(prefix + declared.path) for prefix in prefixes}

    def _before(self, router: Router, depth: int = 0) -> set[str] | None:
        """What may stand before a router's routes; None where only a running host knows."""
        if router in self.apps:
            return {""}
        own, mounts = self.own.get(router), self.mounts.get(router)
        if own is None or not mounts or depth > _DEEP:
            return None
        found: set[str] = set()
        for parent, prefix in mounts:
            above = self._before(parent, depth + 1)
            if above is None or prefix is None:
                return None
            found |= {each + prefix + own for each in above}
        return found


def routes(host: HostText) -> Routes:
    """The routes that the source tells of."""
    found = Routes(
        prefixes={"", *(p for text in host.texts.values() for p in _PREFIX.findall(text))}
    )
    for source in host.parsed("APIRouter", "FastAPI(", "include_router", "add_api_route"):
        reader = _Reader(host, source.module, found)
        for node in ast.walk(source.tree):
            reader.look(node)
    return found


class _Reader:
    """Reads one file."""

    def __init__(self, host: HostText, module: str, found: Routes) -> None:
        self.host, self.module, self.found = host, module, found

    def look(self, node: ast.AST) -> None:
        """A node that may make a router, include one, or declare a route."""
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    self._made((self.module, target.id), node.value)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    self.found.declared += self._declared(decorator)
        if isinstance(node, ast.Call):
            called = _last(node.func)
            if called == "include_router" and node.args and isinstance(node.func, ast.Attribute):
                child, parent = self._router(node.args[0]), self._router(node.func.value)
                prefix = self._keyword(node, "prefix")
                self.found.mounts.setdefault(child, []).append((parent, prefix))
            elif called in ("add_api_route", "add_route"):
                self.found.declared += self._declared(node)

    def _made(self, router: Router, call: ast.Call) -> None:
        called = _last(call.func)
        if called == "FastAPI":
            self.found.apps.add(router)
        elif called.endswith("Router"):
            self.found.own[router] = self._keyword(call, "prefix")

    def _declared(self, call: ast.Call) -> Iterator[_Declared]:
        if not isinstance(call.func, ast.Attribute):
            return
        called = call.func.attr
        given = call.args[0] if call.args else None
        given = given or next((k.value for k in call.keywords if k.arg == "path"), None)
        path = None if given is None else self._text(given)
        if path is None or (path and not path.startswith("/")):
            return
        router = self._router(call.func.value)
        if called in _METHODS:
            yield _Declared(called.upper(), path, router)
        elif called in ("api_route", "add_api_route", "add_route"):
            listed = next((k.value for k in call.keywords if k.arg == "methods"), None)
            words = [self._text(e) for e in getattr(listed, "elts", ())] or ["GET"]
            for word in words:
                yield _Declared("*" if word is None else word.upper(), path, router)

    def _router(self, value: ast.expr) -> Router:
        """Where the router that an expression names is made."""
        if isinstance(value, ast.Name):
            held = self.host.tree.find(self.module, value.id)
            return (held.module, held.name) if held is not None else (self.module, value.id)
        if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
            package = self._module(value.value.id)
            held = self.host.tree.find(package, value.attr) if package else None
            return (held.module, held.name) if held is not None else (package, value.attr)
        return ("", ast.dump(value))

    def _module(self, name: str) -> str:
        """The module that a name stands for, where it was imported."""
        path = self.host.tree.file(self.module)
        tree = self.host.tree.parse(path) if path else None
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.ImportFrom | ast.Import):
                for alias in node.names:
                    if (alias.asname or alias.name) != name:
                        continue
                    if isinstance(node, ast.Import):
                        return alias.name
                    base = self._base(node)
                    return f"{base}.{alias.name}" if base else alias.name
        return ""

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        path = self.host.tree.file(self.module)
        parts = self.module.split(".")
        inside = path is not None and path.name == "__init__.py"
        kept = parts[: len(parts) - node.level + inside]
        return ".".join([*kept, node.module] if node.module else kept)

    def _keyword(self, call: ast.Call, name: str) -> str | None:
        """A keyword's text; empty where it is not given, None where it cannot be read."""
        given = next((k.value for k in call.keywords if k.arg == name), None)
        return "" if given is None else self._text(given)

    def _text(self, value: ast.expr) -> str | None:
        """A text, also by the name of a constant."""
        if isinstance(value, ast.Constant):
            return value.value if isinstance(value.value, str) else None
        if isinstance(value, ast.Name):
            held = self.host.tree.find(self.module, value.id)
            node = held.node if held is not None else None
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
                node.value, ast.Constant
            ):
                return self._text(node.value)
        return None


def _plain(path: str) -> str:
    """A path with its parameters' names and types left out, and without a slash at its end."""
    return _PARAMETER.sub("{}", path).rstrip("/")
