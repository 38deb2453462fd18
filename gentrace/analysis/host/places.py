"""Where a target that is not found is meant to be: names in the host that are nearly its own."""

from __future__ import annotations

import ast

from gentrace.analysis.host.text import HostText, nearest
from gentrace.core.profile import Profile, Target
from gentrace.core.targets import Inspection

_SURE = 0.88


def meant(profile: Profile, found: Inspection, target: Target, *, sure: bool = False) -> str:
    """For the end of a sentence: the spelling that was probably meant; empty where none is alike.

    Args:
        sure: only what differs by a letter or two.
    """
    host = HostText(found.checkout, found.tree)
    for module, qualname in target.spellings(profile.packages):
        near_module = module
        if found.tree.file(module) is None:
            near_module = nearest(module, host.modules, 0.88) if host.modules else ""
        if not near_module:
            continue
        defined = _defined(host, near_module)
        near = (
            qualname if qualname in defined else nearest(qualname, defined, _SURE if sure else 0.6)
        )
        if near and (near_module, near) != (module, qualname):
            return f"; did you mean {near_module}:{near}?"
    return ""


def _defined(host: HostText, module: str) -> list[str]:
    """The classes, functions, methods and values of a module."""
    path = host.tree.file(module)
    tree = host.tree.parse(path) if path is not None else None
    found: list[str] = []
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(node.name)
        if isinstance(node, ast.ClassDef):
            inside = (m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef))
            found += [f"{node.name}.{member.name}" for member in inside]
        if isinstance(node, ast.Assign):
            found += [t.id for t in node.targets if isinstance(t, ast.Name)]
    return found
