"""What became of the providers' packages: imported, importable, missing, or how an import failed.

Hosts import them in a ``try`` and go on without. Nothing is imported here: a finder asks the other
finders, and notices what the host's own import meets.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from gentrace.core.host_logs import Sdk

IMPORTED, IMPORTABLE, FAILED = "imported", "importable", "failed"
_NOT_FOUND = ModuleNotFoundError.__name__


class SdkImports:
    """A finder that finds what the others find, for the profile's packages alone."""

    def __init__(self, sdks: Sequence[Sdk]) -> None:
        self.sdks = tuple(sdks)
        self._roots = frozenset(sdk.module.partition(".")[0] for sdk in sdks)
        self._failed: dict[str, str] = {}
        self._asking = threading.local()

    def install(self) -> None:
        """Go to the head of the path."""
        if self._roots:
            sys.meta_path.insert(0, self)  # pyright: ignore[reportArgumentType]

    def close(self) -> None:
        """Leave the path, by way of a new list: an import may be walking along the old one."""
        if self in sys.meta_path:
            sys.meta_path = [finder for finder in sys.meta_path if finder is not self]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the other finders have, with a loader that notices; None for all other modules."""
        asking: set[str] = self._asking.__dict__.setdefault("names", set[str]())
        if fullname.partition(".")[0] not in self._roots or fullname in asking:
            return None
        asking.add(fullname)
        try:
            found = _ask(self, fullname, path, target)
        finally:
            asking.discard(fullname)
        if found is None:
            self._failed[fullname] = _NOT_FOUND
        elif hasattr(found.loader, "exec_module"):
            found.loader = _Noticing(found.loader, self._failed)  # pyright: ignore[reportAttributeAccessIssue]
        return found

    # -- telling ---------------------------------------------------------------------------
    def errors(self) -> list[str]:
        """``module: what failed``, of each that the host could not import or would not find."""
        failed = dict(self._failed)
        for sdk in self.sdks:
            if (
                sdk.module not in sys.modules
                and sdk.module not in failed
                and not self._is_there(sdk)
            ):
                failed[sdk.module] = _NOT_FOUND
        return sorted(f"{name}: {what}" for name, what in failed.items())

    def report(self) -> list[dict[str, Any]]:
        """Each package's state and version, for the process's record."""
        errors = dict(error.split(": ", 1) for error in self.errors())
        return [self._row(sdk, errors) for sdk in self.sdks]

    def _row(self, sdk: Sdk, errors: dict[str, str]) -> dict[str, Any]:
        of_it = {
            n: e for n, e in errors.items() if n == sdk.module or n.startswith(sdk.module + ".")
        }
        state = IMPORTED if sdk.module in sys.modules else FAILED if of_it else IMPORTABLE
        module = sys.modules.get(sdk.module)
        return {
            "module": sdk.module,
            "distribution": sdk.distribution or sdk.module,
            "version": version(sdk.distribution or sdk.module) or _own_version(module),
            "state": state,
            "file": getattr(module, "__file__", None),
            "errors": [f"{name}: {what}" for name, what in sorted(of_it.items())],
        }

    def _is_there(self, sdk: Sdk) -> bool:
        """Asked of a top-level name only: for an inner one its parents would be imported."""
        try:
            return _ask(self, sdk.module.partition(".")[0], None, None) is not None
        except Exception:
            return False


class _Noticing:
    """Stands for a module's loader until the module runs, which then sees its own."""

    def __init__(self, loader: Any, failed: dict[str, str]) -> None:
        self._loader, self._failed = loader, failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        try:
            return self._loader.create_module(spec)
        except Exception as exc:
            self._failed[spec.name] = _said(exc)
            raise

    def exec_module(self, module: ModuleType) -> None:
        spec: Any = module.__spec__
        if spec is not None and spec.loader is self:
            spec.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        try:
            self._loader.exec_module(module)
        except Exception as exc:
            self._failed[module.__name__] = _said(exc)
            raise
        self._failed.pop(module.__name__, None)


def version(distribution: str) -> str | None:
    """A distribution's version; None where it is not installed."""
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError, OSError):
        return None


def _own_version(module: ModuleType | None) -> str | None:
    own = vars(module).get("__version__") if module is not None else None
    return own if isinstance(own, str) else None


def _said(exc: Exception) -> str:
    """The error's type, and for a failed import the module that was wanted: no other word of it."""
    name = exc.name if isinstance(exc, ImportError) else None
    return f"{type(exc).__name__}: {name}" if name else type(exc).__name__


def _ask(own: Any, *wanted: Any) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        find = None if finder is own else getattr(finder, "find_spec", None)
        found = None if find is None else find(*wanted)
        if found is not None:
            return found
    return None
