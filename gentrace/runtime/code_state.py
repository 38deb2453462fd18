"""Whether the host's code on disk is (still) the code that runs.

Of each hook point's module the source's time and size are kept as it is hooked, of the host's other
modules at the next look. A look compares them with the disk, by content where time or size differ,
so that a touched file is no changed one. A source that changed or went, and a ``.pyc`` that Python
took without asking whether it fits the source, are said on the spans of that code's hooks.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from gentrace.core import names
from gentrace.core.profile import Target
from gentrace.runtime import visibility
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call, Hook

CHANGED, REMOVED, PYC = "changed", "removed", "pyc"
_HEADER = 16
_COARSE_NS = 20_000_000  # files are dated by a clock that ticks this slowly
HookFactory = Callable[[Engine, Target, str], Hook]


class Source:
    """One source file as it was loaded, and what is wrong with it now (nothing: empty)."""

    __slots__ = ("_digest", "_looked", "as_loaded", "path", "pyc", "shown", "wrong")

    def __init__(self, path: str, as_loaded: tuple[int, int], pyc: bool) -> None:
        self.path, self.as_loaded, self.pyc = path, as_loaded, pyc
        self.shown = shown(path)
        self.wrong = PYC if pyc else ""
        self._digest: bytes | None = None
        self._looked: tuple[int, int] | None = None

    def look(self) -> None:
        """Compare it with the disk."""
        try:
            now = _state(self.path)
        except FileNotFoundError:
            self.wrong, self._looked = REMOVED, None
            return
        except OSError:
            return
        if now == self._looked:
            return
        self._looked = now
        same = now == self.as_loaded
        if same and self._digest is None:
            self._digest = _digest(self.path)
        elif not same:
            same = self._digest is not None and _digest(self.path) == self._digest
        self.wrong = CHANGED if not same else PYC if self.pyc else ""


class CodeState:
    """Keeps the sources of the host's loaded modules.

    Args:
        packages: the host's packages.
        started_ns: when this process began.
    """

    def __init__(self, packages: Sequence[str], started_ns: int) -> None:
        self.packages, self.started_ns = tuple(packages), started_ns
        self._sources: dict[str, Source] = {}
        self._modules: set[str] = set()

    # -- for the hooks ---------------------------------------------------------------------
    def watching(self, hooks: Mapping[str, HookFactory]) -> dict[str, HookFactory]:
        """The same hooks, which say on their spans that the code under them is not the disk's."""
        return {role: self._watching(factory) for role, factory in hooks.items()}

    def _watching(self, factory: HookFactory) -> HookFactory:
        def make(engine: Engine, target: Target, label: str) -> Hook:
            hook = factory(engine, target, label)
            source = self._of(target)
            if source is not None:
                _say_on_spans(hook, source, is_job=target.role == "job")
            return hook

        return make

    def _of(self, target: Target) -> Source | None:
        for name, _ in target.spellings(self.packages):
            module = sys.modules.get(name)
            source = self._keep(name, module) if module is not None else None
            if source is not None:
                return source
        return None

    # -- looking ---------------------------------------------------------------------------
    def look(self) -> bool:
        """Look at every loaded module of the host; whether something is said anew.

        A few stats a hundred files; off the host's threads.
        """
        before = self.stale()
        for name, module in list(sys.modules.items()):
            if name not in self._modules and self._is_hosts(name):
                self._keep(name, module)
        for source in list(self._sources.values()):
            source.look()
        return self.stale() != before

    def stale(self) -> list[str]:
        """``file: what is wrong``, as of the last look; the file from the host's package on."""
        found = [source for source in list(self._sources.values()) if source.wrong]
        return sorted(f"{source.shown}: {source.wrong}" for source in found)

    def files(self) -> Iterable[Path]:
        """The sources that were loaded."""
        return [Path(source.path) for source in list(self._sources.values())]

    def _is_hosts(self, name: str) -> bool:
        return any(name == p or name.startswith(p + ".") for p in self.packages)

    def _keep(self, name: str, module: ModuleType) -> Source | None:
        spec: Any = getattr(module, "__spec__", None)
        path: Any = getattr(module, "__file__", None)
        if not isinstance(path, str) or not path.endswith(".py"):
            return None
        self._modules.add(name)
        if path not in self._sources:
            try:
                source = Source(path, *self._as_loaded(path, getattr(spec, "cached", None)))
            except OSError:
                return None
            self._sources.setdefault(path, source)
        return self._sources[path]

    def _as_loaded(self, path: str, cached: str | None) -> tuple[tuple[int, int], bool]:
        """Time and size of the source that was loaded; whether it was another's ``.pyc``.

        A ``.pyc`` that this process wrote knows better than the disk, which may have changed.
        """
        now = _state(path)
        try:
            with open(cached or "", "rb") as stream:
                header = stream.read(_HEADER)
            written_ns = os.stat(cached or "").st_mtime_ns
        except OSError:
            return now, False
        if len(header) < _HEADER or header[:4] != importlib.util.MAGIC_NUMBER:
            return now, False
        flags = int.from_bytes(header[4:8], "little")
        if flags & 1:
            asked = _asked(bool(flags & 2))
            fits = asked or importlib.util.source_hash(Path(path).read_bytes()) == header[8:16]
            return now, not fits
        mtime_s, size = (int.from_bytes(header[i : i + 4], "little") for i in (8, 12))
        fits = mtime_s == now[0] // 10**9 & 0xFFFFFFFF and size == now[1] & 0xFFFFFFFF
        if fits or written_ns < self.started_ns - _COARSE_NS:
            return now, False
        return (mtime_s * 10**9, size), False


def shown(path: str) -> str:
    """A file of a package, from that package's own folder on."""
    folder = Path(path).parent
    while (folder / "__init__.py").exists() and folder.parent != folder:
        folder = folder.parent
    return Path(path).relative_to(folder).as_posix()


def _say_on_spans(hook: Any, source: Source, *, is_job: bool) -> None:
    """Have a hook say on its span what is wrong with the source, as it settles."""
    kind = type(hook)

    def settle_and_say(state: Any) -> None:
        if source.wrong:
            scope = state.scope if state.owns_scope else None
            for span in (state.span, scope and scope.span):
                _say(span, source)
        kind.settle(hook, state)

    def before_or_say(call: Call) -> Any:
        state = kind.before(hook, call)
        if state is None and source.wrong:
            _say(visibility.at_work(), source)  # the worker's span of this job
        return state

    hook.settle = settle_and_say
    if is_job:
        hook.before = before_or_say


def _say(span: Any, source: Source) -> None:
    if span is not None and span.is_recording():
        span.set_attribute(names.CODE_STALE, [f"{source.shown}: {source.wrong}"])


def _asked(wants: bool) -> bool:
    """Whether Python compares a hash-based ``.pyc`` with its source."""
    import _imp  # python -X/--check-hash-based-pycs is told nowhere else

    mode = getattr(_imp, "check_hash_based_pycs", "default")
    return mode == "always" or (mode == "default" and wants)


def _state(path: str) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size


def _digest(path: str) -> bytes | None:
    try:
        return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).digest()
    except OSError:
        return None
