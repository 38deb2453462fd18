"""Mapped classes of a host: their attributes, and the words that a status may have.

Source: SQLAlchemy 1.4 to 2.1 (``Column``, ``mapped_column``, ``Mapped[…]``, ``__table__``) and
SQLModel.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gentrace.analysis.host.arq_functions import _last
from gentrace.analysis.host.text import HostText
from gentrace.core.source_tree import Definition

_PLAIN_BASES = frozenset({"sqlmodel", "sqlalchemy", "typing", "typing_extensions", "abc", "enum"})


def attributes(host: HostText, cls: Definition) -> set[str] | None:
    """The names that a class and its bases have; None where a base of another kind is not there."""
    if not isinstance(cls.node, ast.ClassDef):
        return None
    for owner in host.tree.bases(cls):
        assert isinstance(owner.node, ast.ClassDef)
        if any(not _known(host, owner, base) for base in owner.node.bases):
            return None
    found = {member.name for member in host.tree.methods(cls)}
    columns = (c for owner in host.tree.bases(cls) for c in _columns(owner.node))
    return {*found, *columns} or None


def _known(host: HostText, owner: Definition, base: ast.expr) -> bool:
    """Whether a base is in the tree, or a library's that maps classes and no more."""
    name = base.value if isinstance(base, ast.Subscript) else base
    if not isinstance(name, ast.Name):
        return isinstance(name, ast.Attribute) and _last(name) in ("SQLModel", "DeclarativeBase")
    held = host.tree.name(owner.module, name.id)
    if held is None:
        return name.id == "object"
    if isinstance(held.node, ast.ImportFrom):
        root = (held.node.module or "").partition(".")[0]
        return host.tree.find(owner.module, name.id) is not None or root in _PLAIN_BASES
    return True


def _columns(node: ast.AST) -> Iterator[str]:
    """The columns of a ``__table__``."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and _last(call.func) == "Column" and call.args:
            first = call.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def words(host: HostText, cls: Definition, attribute: str) -> set[str]:
    """The words that an attribute may have by its enum or literals, in lower case; none unknown."""
    member = next((m for m in host.tree.methods(cls) if m.name == attribute), None)
    node = member.node if member is not None else None
    if member is None or not isinstance(node, ast.Assign | ast.AnnAssign):
        return set()
    parts = [node.annotation, node.value] if isinstance(node, ast.AnnAssign) else [node.value]
    found: set[str] = set()
    for part in parts:
        for each in ast.walk(part) if part is not None else ():
            found |= _of(host, member.module, each)
    return found


def _of(host: HostText, module: str, node: ast.AST) -> set[str]:
    """The words of an enum class, a ``Literal[…]`` or an ``Enum("a", "b")``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
        return _members(host.tree.find(module, node.value))  # a class that is named before it is
    if isinstance(node, ast.Name):
        return _members(host.tree.find(module, node.id))
    if isinstance(node, ast.Subscript) and _last(node.value) == "Literal":
        return _texts(ast.walk(node.slice))
    if isinstance(node, ast.Call) and _last(node.func).endswith("Enum"):
        return _texts(node.args)
    return set()


def _members(held: Definition | None) -> set[str]:
    if held is None or not isinstance(held.node, ast.ClassDef):
        return set()
    if not any(_last(base).endswith("Enum") for base in held.node.bases):
        return set()
    found: set[str] = set()
    for statement in held.node.body:
        if isinstance(statement, ast.Assign):
            found |= {t.id.lower() for t in statement.targets if isinstance(t, ast.Name)}
            found |= _texts(ast.walk(statement.value))
    return found


def _texts(nodes: Iterator[ast.AST] | list[ast.expr]) -> set[str]:
    values = (node.value for node in nodes if isinstance(node, ast.Constant))
    return {value.lower() for value in values if isinstance(value, str)}
