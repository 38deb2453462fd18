"""Python source as text: finds modules, definitions and methods in a checkout with ``ast`` alone.

Nothing is imported or run. What is looked for, and what its absence means, is for
:mod:`gentrace.core.targets` to say.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
Statement = Function | ast.ClassDef | ast.Assign | ast.AnnAssign | ast.ImportFrom | ast.Import


@dataclass(frozen=True, slots=True)
class Definition:
    """A name's definition, or the import that gives a module the name.

    Attributes:
        via: the import steps that led here, as ``module`` names; empty where it is defined here.
    """

    module: str
    name: str
    file: Path
    node: Statement
    via: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        """Line number, from 1."""
        return self.node.lineno

    @property
    def is_async(self) -> bool:
        """It is an ``async def``."""
        return isinstance(self.node, ast.AsyncFunctionDef)


class SourceTree:
    """The modules below one or more folders.

    Args:
        roots: folders that packages stand in, as on ``sys.path``.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = list(roots)
        self.unreadable: dict[Path, str] = {}
        self._parsed: dict[Path, ast.Module | None] = {}

    def file(self, module: str) -> Path | None:
        """The file of a module or package, or None."""
        parts = module.split(".")
        for root in self.roots:
            stem = root.joinpath(*parts)
            for path in (stem.with_suffix(".py"), stem / "__init__.py"):
                if path.is_file():
                    return path
        return None

    def parse(self, path: Path) -> ast.Module | None:
        """The parsed file; None, and a word in :attr:`unreadable`, where it is no Python."""
        if path not in self._parsed:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of the host's escapes, which are its own
                    self._parsed[path] = ast.parse(path.read_bytes(), filename=str(path))
            except (OSError, SyntaxError, ValueError, RecursionError) as exc:
                self.unreadable[path] = f"{type(exc).__name__}: {exc}"
                self._parsed[path] = None
        return self._parsed[path]

    def find(self, module: str, qualname: str) -> Definition | None:
        """Where ``module:qualname`` is defined; imports of its first part are followed one step.

        A method that the class does not define itself is looked for in its bases.
        """
        head, _, rest = qualname.partition(".")
        found = self.name(module, head)
        if found is not None and isinstance(found.node, ast.ImportFrom):
            found = self._follow(found)
        while found is not None and rest:
            if not isinstance(found.node, ast.ClassDef):
                return None
            head, _, rest = rest.partition(".")
            via = found.via
            found = next((m for m in self.methods(found) if m.name == head), None)
            found = replace(found, via=via) if found else None
        return found

    def name(self, module: str, name: str) -> Definition | None:
        """What gives a module that name: a definition if there is one, else an import."""
        path = self.file(module)
        tree = self.parse(path) if path else None
        if path is None or tree is None:
            return None
        imported: Definition | None = None
        for node in _statements(tree.body):
            if name not in _names(node):
                continue
            found = Definition(module, name, path, node)
            if not isinstance(node, ast.ImportFrom | ast.Import):
                return found
            imported = imported or found
        return imported

    def methods(self, cls: Definition) -> Iterator[Definition]:
        """The members of a class, its own first, then those of its bases, each name once."""
        seen: set[str] = set()
        for owner in self.bases(cls):
            assert isinstance(owner.node, ast.ClassDef)
            for node in _statements(owner.node.body):
                for name in _names(node):
                    if name not in seen:
                        seen.add(name)
                        yield Definition(owner.module, name, owner.file, node)

    def bases(self, cls: Definition) -> Iterator[Definition]:
        """The class and every base that stands in this tree, in the order of lookup."""
        waiting, seen = [cls], set[tuple[str, str]]()
        while waiting:
            found = waiting.pop(0)
            if (found.module, found.name) in seen or not isinstance(found.node, ast.ClassDef):
                continue
            seen.add((found.module, found.name))
            yield found
            above: list[Definition] = []
            for base in found.node.bases:
                name = base.value if isinstance(base, ast.Subscript) else base
                if isinstance(name, ast.Name):
                    held = self.name(found.module, name.id)
                    if held is not None and isinstance(held.node, ast.ImportFrom):
                        held = self._follow(held)
                    above += [held] if held else []
            waiting = above + waiting

    def _follow(self, found: Definition) -> Definition | None:
        """The definition behind a ``from x import y``, through packages that pass it on."""
        via = found.via
        for _ in range(4):
            if not isinstance(found.node, ast.ImportFrom):
                break
            target = _imported_from(found, found.node)
            alias = next((a for a in found.node.names if (a.asname or a.name) == found.name), None)
            name = alias.name if alias else found.name
            via = (*via, found.module)
            held = self.name(target, name)
            if held is None:
                return None
            found = Definition(held.module, held.name, held.file, held.node, via)
        return None if isinstance(found.node, ast.ImportFrom) else found


def _statements(body: Sequence[ast.stmt]) -> Iterator[Statement]:
    """The statements that bind names, also inside if, try and with."""
    for node in body:
        if isinstance(node, Statement):
            yield node
        elif isinstance(node, ast.If):
            yield from _statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            handled = [s for handler in node.handlers for s in handler.body]
            yield from _statements([*node.body, *node.orelse, *handled, *node.finalbody])
        elif isinstance(node, ast.With):
            yield from _statements(node.body)


def _names(node: Statement) -> list[str]:
    if isinstance(node, ast.Assign):
        return [
            n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)
        ]
    if isinstance(node, ast.AnnAssign):
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    if isinstance(node, ast.ImportFrom | ast.Import):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    return [node.name]


def _imported_from(found: Definition, node: ast.ImportFrom) -> str:
    """The absolute name of the module that an import reads."""
    if not node.level:
        return node.module or ""
    parts = found.module.split(".")
    if found.file.name != "__init__.py":
        parts = parts[:-1]
    base = parts[: len(parts) - (node.level - 1)]
    return ".".join([*base, node.module] if node.module else base)
