"""Puts a fault into every guard of the runtime: every block whose ``except Exception`` is ours.

The runtime's modules are compiled with a call to :func:`reach` at the beginning and at the end of
each such block. Nothing happens there unless that place is armed; then it raises.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

RUNTIME = Path(__file__).parents[2] / "gentrace" / "runtime"
FIRST, LAST = "first", "last"
Place = tuple[str, str]


class Fault(Exception):
    """Raised inside a guard."""


reached: set[Place] = set()
armed: Place | None = None
fired = 0


def reach(guard: str, when: str) -> None:
    """The host's work, or ours, comes past a place."""
    global fired
    reached.add((guard, when))
    if armed == (guard, when):
        fired += 1
        raise Fault(f"{when} in {guard}")


@contextmanager
def fault(place: Place) -> Generator[None]:
    """Each time that this place is reached, our work fails."""
    global armed, fired
    armed, fired = place, 0
    try:
        yield
    finally:
        armed = None


def guards() -> list[str]:
    """Every guard, as ``file:function``, numbered where a function has several."""
    found: list[str] = []
    for path in sorted(RUNTIME.rglob("*.py")):
        injecting = _Injecting(path)
        injecting.visit(ast.parse(path.read_text()))
        found += injecting.found
    return found


class _Injecting(ast.NodeTransformer):
    def __init__(self, path: Path) -> None:
        self._file, self._within = path.relative_to(RUNTIME).as_posix(), list[str]()
        self.found: list[str] = []

    def _enter(self, node: Any) -> Any:
        self._within.append(node.name)
        self.generic_visit(node)
        self._within.pop()
        return node

    visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _enter

    def visit_Try(self, node: ast.Try) -> ast.Try:
        ours = any(h.type is not None and ast.unparse(h.type) == "Exception" for h in node.handlers)
        name = f"{self._file}:{'.'.join(self._within)}"
        if ours:
            number = sum(known.partition("#")[0] == name for known in self.found)
            name = f"{name}#{number + 1}" if number else name
            self.found.append(name)
        self.generic_visit(node)
        if ours:
            last = _call(name, LAST)
            body = [_Returning(last).visit(statement) for statement in node.body]
            node.body = [_call(name, FIRST), *_flat(body), last]
        return node


class _Returning(ast.NodeTransformer):
    """Puts a statement behind what is returned."""

    def __init__(self, last: ast.stmt) -> None:
        self._last = last

    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        value = node.value or ast.Constant(None)
        kept = ast.Assign([ast.Name("returned__", ast.Store())], value)
        return [kept, self._last, ast.Return(ast.Name("returned__", ast.Load()))]

    def _leave_alone(self, node: Any) -> Any:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _leave_alone


def _flat(body: Sequence[Any]) -> list[ast.stmt]:
    return [s for one in body for s in (one if isinstance(one, list) else [one])]  # pyright: ignore[reportUnknownVariableType]


def _call(guard: str, when: str) -> ast.stmt:
    return ast.parse(f"reach__({guard!r}, {when!r})").body[0]


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        tree = _Injecting(Path(self.path)).visit(ast.parse(Path(self.path).read_text()))
        return compile(ast.fix_missing_locations(tree), self.path, "exec")

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["reach__"] = reach
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname.startswith("gentrace.") else None
        if spec is None or spec.origin is None or RUNTIME not in Path(spec.origin).parents:
            return None
        spec.loader = _Loader(fullname, spec.origin)
        return spec


def prepare() -> None:
    """Compile the runtime that way from now on; nothing of it must be imported yet."""
    assert not any(name.startswith("gentrace.runtime") for name in sys.modules)
    sys.meta_path.insert(0, _Finder())
