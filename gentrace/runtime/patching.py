"""Puts a hook round each of the profile's targets as its module finishes importing, and back.

A function is wrapped where it is defined: importers copy the wrapped one, and a re-exported name is
never wrapped twice; the copies that were taken before are runtime/importers.py's. Class methods are
replaced in the class that has them.
"""

from __future__ import annotations

import fnmatch
import inspect
import sys
from collections import defaultdict
from collections.abc import Callable
from types import ModuleType
from typing import Any

from gentrace.core.profile import Target
from gentrace.runtime import notices
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Hook, around
from gentrace.runtime.importers import Importers, Wrapped
from gentrace.runtime.wrapping import replace, wrapper_in

PATCHED, LATE, MISSING, ABSENT = "patched", "late", "missing", "absent"
# What is done with a target's object: role -> (engine, target, module, object)
Watcher = Callable[[Engine, Target, ModuleType, Any], None]
HookFactory = Callable[[Engine, Target, str], Hook]
# Roles whose functions the worker's hooks see, whatever copy it runs
_SEEN_BY_WORKER = frozenset({"job", "cron"})


class Patcher:
    """Installs and removes the hooks of a profile's targets.

    Args:
        hooks: makes the hook of a role.
        watchers: roles whose object is looked at rather than wrapped.
    """

    def __init__(
        self, engine: Engine, hooks: dict[str, HookFactory], watchers: dict[str, Watcher]
    ) -> None:
        self.engine, self.hooks, self.watchers = engine, hooks, watchers
        self.states: dict[str, dict[str, Any]] = {}
        self._undo: list[Callable[[], None]] = []
        self._early: list[ModuleType] = []
        self._late = False
        self._wrapped: list[Wrapped] = []
        self._importers = Importers(engine.profile.packages)
        self._modules: dict[str, list[tuple[Target, str]]] = defaultdict(list)
        for target in engine.profile.targets:
            for module, qualname in target.spellings(engine.profile.packages):
                self._modules[module].append((target, qualname))

    def install(self) -> None:
        """Patch what is imported already, and the rest when it is."""
        self._late = True
        before = [
            name for name in self._modules if self.engine.arrivals.await_module(name, self._arrived)
        ]
        self._late = False
        if before:
            self._importers.look()

    def _arrived(self, module: ModuleType) -> None:
        if not self.engine.active:
            return
        self._look_again()
        if _half_way(module):
            self._early.append(module)
        self._patch_all(module, self._late)

    def _look_again(self) -> None:
        """Modules that were half imported when we came: their later names may be there now."""
        for module in [m for m in self._early if not _half_way(m)]:
            self._early.remove(module)
            if self._patch_all(module, late=True):
                self._importers.look()

    def _patch_all(self, module: ModuleType, late: bool) -> bool:
        """Patch the targets of a module; whether something was wrapped."""
        for target, qualname in self._modules.get(module.__name__, ()):
            if target.role in self.watchers and self._is_patched(target):
                continue
            guard = self.engine.guard(target.name)
            try:
                self._patch(target, module, qualname)
            except Exception as exc:
                guard.failed(exc)
        wrapped, self._wrapped = self._wrapped, []
        self._importers.give(wrapped, late)
        return bool(wrapped)

    def _patch(self, target: Target, module: ModuleType, qualname: str) -> None:
        *path, name = qualname.split(".")
        owner: Any = module
        for part in path:
            owner = getattr(owner, part, None)
        found = getattr(owner, name, None) if owner is not None else None
        if found is None:
            self._state(target, module, ABSENT if target.optional else MISSING)
            return
        watcher = self.watchers.get(target.role)
        if watcher is not None:
            watcher(self.engine, target, module, found)
            self._state(target, module, PATCHED)
        elif target.role == "adapter":
            self._patch_adapter(target, module, found)
        elif target.role in self.hooks:
            if inspect.ismodule(owner) and _is_from_elsewhere(found, name, module):
                return  # re-exported here: it is wrapped where it is defined
            if inspect.isclass(owner):
                owner = next((c for c in owner.__mro__ if name in c.__dict__), owner)
            self._wrap(target, owner, name, target.name)
            self._state(target, module, PATCHED)
        else:
            self._state(target, module, PATCHED)

    def _patch_adapter(self, target: Target, module: ModuleType, cls: Any) -> None:
        """Every method that the class and its mixins define under the target's patterns."""
        count = 0
        roots = tuple(p.partition(".")[0] for p in self.engine.profile.packages)
        for base in cls.__mro__:
            if base.__module__.partition(".")[0] not in roots:
                continue
            for name, value in list(base.__dict__.items()):
                matched = any(fnmatch.fnmatchcase(name, p) for p in target.methods)
                function = getattr(value, "__func__", value)
                if (
                    matched
                    and callable(function)
                    and not isinstance(value, property)
                    and not getattr(value, "__isabstractmethod__", False)
                ):
                    self._wrap(target, base, name, f"{target.provider}.{name}")
                    count += 1
        self._state(target, module, PATCHED if count else MISSING)

    def _wrap(self, target: Target, owner: Any, name: str, label: str) -> None:
        own = vars(owner).get(name)
        original = getattr(owner, name) if own is None else own
        function = getattr(original, "__func__", original)
        hook = self.hooks[target.role](self.engine, target, label)
        guard = self.engine.guard(target.name)
        undo = replace(owner, name, around(label, hook, guard, function))
        if undo is not None:
            self._undo.append(undo)
            self._wrapped.append((target.name, function, wrapper_in(vars(owner)[name])))

    def _state(self, target: Target, module: ModuleType, state: str) -> None:
        if not self._is_patched(target):
            self.states[target.name] = {
                "name": target.name,
                "role": target.role,
                "state": state,
                "file": getattr(module, "__file__", None),
            }

    def _is_patched(self, target: Target) -> bool:
        return self.states.get(target.name, {}).get("state") == PATCHED

    def uninstall(self) -> list[str]:
        """Put every original back, the last patched first.

        Returns:
            Who still holds a wrapper: it passes straight through.
        """
        for undo in reversed(self._undo):
            try:
                undo()
            except Exception as exc:
                notices.swallowed("uninstrument", exc)
        self._undo.clear()
        self._early.clear()
        return self._importers.take_back()

    def report(self) -> list[dict[str, Any]]:
        """Every target's state, for the process's record; ``absent`` = not imported here.

        ``late``: who holds it elsewhere (``copies``) took it before it was hooked and calls it
        unseen, if it is no worker. ``copies_patched``: the names that were given the wrapped one.
        """
        self._look_again()
        return [self._row(target) for target in self.engine.profile.targets]

    def _row(self, target: Target) -> dict[str, Any]:
        absent = {"name": target.name, "role": target.role, "state": ABSENT, "file": None}
        row = dict(self.states.get(target.name, absent))
        unreached = self._importers.unreached.get(target.name, [])
        if unreached and target.role not in _SEEN_BY_WORKER:
            row["state"] = LATE
        if row["state"] in (PATCHED, LATE):
            row["copies"] = unreached
            row["copies_patched"] = sorted(self._importers.patched.get(target.name, []))
        return row


def _is_from_elsewhere(found: Any, name: str, module: ModuleType) -> bool:
    """Whether another module has defined it: not what a decorator of another module made here."""
    home = getattr(found, "__module__", None)
    if home == module.__name__ or not isinstance(home, str):
        return False
    known = vars(sys.modules[home]) if home in sys.modules else {}
    return any(known.get(as_) is found for as_ in (name, getattr(found, "__name__", name)))


def _half_way(module: ModuleType) -> bool:
    """Whether the module is still being executed (we were imported from inside it)."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
