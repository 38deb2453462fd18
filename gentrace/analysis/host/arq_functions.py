"""The ARQ functions of a host: what its workers list, what its crons run, what it enqueues by name.

Source: arq 0.25 to 0.28, ``arq.worker.func`` (a function is called as its ``__qualname__`` says, or
by ``name``), ``arq.cron.cron`` (``cron:`` and that, or ``name``), ``ArqRedis.enqueue_job``.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from gentrace.analysis.host.text import HostText
from gentrace.core.source_tree import Definition, Function

_LISTS = ("functions", "cron_jobs")
_MAKERS = ("func", "cron")


@dataclass(slots=True)
class Functions:
    """What was found.

    Attributes:
        names: each function's name as jobs have it, and where it is defined, if that is known.
        whole: every list could be read; else there may be more.
    """

    names: dict[str, Definition | None] = field(default_factory=dict[str, Definition | None])
    whole: bool = True


def functions(host: HostText) -> Functions:
    """The ARQ functions that the source tells of."""
    reader = _Reader(host)
    for source in host.parsed(
        "functions =", "functions=", "functions:", "cron_jobs", "enqueue_job"
    ):
        for node in ast.walk(source.tree):
            reader.look(source.module, node)
    return reader.found


class _Reader:
    def __init__(self, host: HostText) -> None:
        self.host, self.found = host, Functions()

    def look(self, module: str, node: ast.AST) -> None:
        """A node that may list or name functions."""
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
                targets = statement.targets if isinstance(statement, ast.Assign) else []
                if isinstance(statement, ast.AnnAssign):
                    targets = [statement.target]
                named = [t.id for t in targets if isinstance(t, ast.Name) and t.id in _LISTS]
                if named and isinstance(statement, ast.Assign | ast.AnnAssign):
                    self._list(module, statement.value)
        elif isinstance(node, ast.Call):
            called = _last(node.func)
            for keyword in node.keywords:
                if keyword.arg in _LISTS and called.endswith(("Worker", "run_worker")):
                    self._list(module, keyword.value)
            first = node.args[0] if node.args else None
            if called.endswith("enqueue_job") and isinstance(first, ast.Constant):
                self.found.names.setdefault(str(first.value), None)

    def _list(self, module: str, value: ast.expr | None, depth: int = 0) -> None:
        """A list of functions, or what makes one."""
        if isinstance(value, ast.List | ast.Tuple | ast.Set):
            for each in value.elts:
                self._one(module, each, depth)
        elif isinstance(value, ast.BinOp):
            self._list(module, value.left, depth)
            self._list(module, value.right, depth)
        elif isinstance(value, ast.Name) and depth < 4:
            held = self.host.tree.find(module, value.id)
            if held is not None and isinstance(held.node, ast.Assign | ast.AnnAssign):
                self._list(held.module, held.node.value, depth + 1)
            else:
                self.found.whole = False
        elif value is not None:
            self.found.whole = False

    def _one(self, module: str, each: ast.expr, depth: int) -> None:
        """One entry of a list."""
        if isinstance(each, ast.Starred):
            self._list(module, each.value, depth)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            path, _, name = each.value.rpartition(".")
            held = self.host.tree.find(path, name) if path else None
            self.found.names[each.value] = self.found.names[name] = held
        elif isinstance(each, ast.Name | ast.Attribute):
            name, held = self._function(module, each)
            self.found.names[name] = held
        elif isinstance(each, ast.Call) and _last(each.func) in _MAKERS and each.args:
            self._made(module, each)
        else:
            self.found.whole = False

    def _made(self, module: str, call: ast.Call) -> None:
        """``func(…)`` or ``cron(…)``."""
        names: list[str] = []
        held = None
        first = call.args[0]
        if isinstance(first, ast.Name | ast.Attribute):
            name, held = self._function(module, first)
            names.append(name)
        elif isinstance(first, ast.Constant) and isinstance(first.value, str):
            names += [first.value, first.value.rpartition(".")[2]]
        else:
            self.found.whole = False
        given = next((k.value for k in call.keywords if k.arg == "name"), None)
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            names = [given.value]
        elif given is not None and not isinstance(given, ast.Constant):
            self.found.whole = False
        for name in names:
            self.found.names[name] = held
            if _last(call.func) == "cron" and given is None:
                self.found.names[f"cron:{name}"] = held

    def _function(
        self, module: str, each: ast.Name | ast.Attribute
    ) -> tuple[str, Definition | None]:
        """A function's own name, whatever it was imported as, and its definition."""
        if isinstance(each, ast.Attribute):
            return each.attr, None
        held = self.host.tree.find(module, each.id)
        if held is not None and isinstance(held.node, Function):
            return held.name, held
        return each.id, None


def _last(called: ast.expr) -> str:
    """The last name of what is called."""
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""
