"""Says when a module has been imported: at once where it is, else as soon as it has run.

Our own finder rather than wrapt's, for three things: it goes away again with what still waited, a
module keeps its own loader, and a failure of ours cannot fail the host's import.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from gentrace.runtime import notices

Arrived = Callable[[ModuleType], None]


class Arrivals:
    """A finder that finds what the others find, and notices when it has been run."""

    def __init__(self) -> None:
        self._awaited: dict[str, list[Arrived]] = {}
        self._asking = threading.local()

    def await_module(self, name: str, arrived: Arrived) -> bool:
        """Call ``arrived`` with that module, once; returns whether that was done at once."""
        module = sys.modules.get(name)
        if module is not None:
            self._tell(arrived, module)
            return True
        if not self._awaited:
            sys.meta_path.insert(0, self)  # pyright: ignore[reportArgumentType]
        self._awaited.setdefault(name, []).append(arrived)
        return False

    def close(self) -> None:
        """Forget what is awaited and leave the path.

        By way of a new list: an import in another thread is walking along the old one.
        """
        self._awaited.clear()
        sys.meta_path = [finder for finder in sys.meta_path if finder is not self]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders have, with a loader that tells us; None for what nobody awaits."""
        asking: set[str] = self._asking.__dict__.setdefault("names", set[str]())
        if fullname not in self._awaited or fullname in asking:
            return None
        asking.add(fullname)
        try:
            for finder in list(sys.meta_path):
                found = None if finder is self else _ask(finder, fullname, path, target)
                if found is not None:
                    if hasattr(found.loader, "exec_module"):
                        found.loader = _Noticing(found.loader, self)  # pyright: ignore[reportAttributeAccessIssue]
                    return found
        finally:
            asking.discard(fullname)
        return None

    def has_run(self, module: ModuleType) -> None:
        """The module's code has been executed."""
        for arrived in self._awaited.pop(module.__name__, ()):
            self._tell(arrived, module)

    @staticmethod
    def _tell(arrived: Arrived, module: ModuleType) -> None:
        try:
            arrived(module)
        except Exception as exc:
            notices.swallowed("arrival of a module", exc)


def _ask(finder: Any, *wanted: Any) -> ModuleSpec | None:
    find = getattr(finder, "find_spec", None)  # the import system passes over those without, too
    return None if find is None else find(*wanted)


class _Noticing:
    """Stands for a module's loader until the module runs, which then sees its own."""

    def __init__(self, loader: Any, arrivals: Arrivals) -> None:
        self._loader, self._arrivals = loader, arrivals

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None and module.__spec__.loader is self:  # pyright: ignore[reportUnnecessaryComparison]
            module.__spec__.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._arrivals.has_run(module)
