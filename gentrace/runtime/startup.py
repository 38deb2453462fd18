"""Switching on and off: waits for the host's package, then builds the engine and its hooks.

Until the host's package is imported nothing but the profile is read: a process that never
imports it (pip, pytest, our own commands) gets no provider, thread, file or printed line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from gentrace.core import settings
from gentrace.core.errors import ProfileError
from gentrace.core.profile import Profile, load
from gentrace.runtime import notices


class _Trigger:
    """A finder that finds nothing: it notices the first import of the host's package."""

    def __init__(self, profile: Profile, warnings: Sequence[str]) -> None:
        self.profile, self.warnings = profile, warnings
        self._packages = frozenset(profile.packages)
        self.fired = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._packages or self.fired:
            return None
        self.fire()
        # The import under way does not see the finders that were added just now: ask them here.
        for finder in list(sys.meta_path):
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                return spec
        return None

    def fire(self) -> None:
        """Hook the host; we stay on the path, for the list must not shift under an import."""
        if not self.fired:
            self.fired = True
            _activate(self.profile, self.warnings)


_trigger: _Trigger | None = None
_session: Any = None


def start(profile: str | None = None) -> bool:
    """Read the profile and wait for the host; hook at once what is imported already.

    Returns:
        False when the profile cannot be used or export is switched off; said once.
    """
    global _trigger
    if _trigger is not None:
        return True
    if settings.export_off():
        return False
    try:
        loaded, warnings = load(profile or settings.profile_name(), strict=False)
    except ProfileError as exc:
        notices.say_once("profile", f"{exc}; the host runs without tracing")
        return False
    except Exception as exc:
        notices.swallowed("start", exc)
        return False
    _trigger = _Trigger(loaded, warnings)
    sys.meta_path.insert(0, _trigger)  # pyright: ignore[reportArgumentType]
    if any(package in sys.modules for package in loaded.packages):
        _trigger.fire()
    return True


def _activate(profile: Profile, warnings: Sequence[str]) -> None:
    """The host is about to be imported: build everything. Never raises."""
    global _session
    for warning in warnings:
        notices.say_once(warning, f"{warning}; ignored")
    try:
        from gentrace.runtime.session import Session

        _session = Session(profile, settings.read())
        _session.install()
    except ImportError as exc:
        notices.say_once(
            "import",
            f"{exc.name or 'a package'} cannot be imported ({exc}); the host runs without "
            "tracing. Install gentrace with its dependencies into the host's environment",
        )
    except Exception as exc:
        notices.swallowed("start", exc)


def stop() -> None:
    """Take the hooks out and see out what was recorded. Never raises."""
    global _trigger, _session
    trigger, _trigger = _trigger, None
    if trigger is not None and trigger in sys.meta_path:
        sys.meta_path.remove(trigger)  # pyright: ignore[reportArgumentType]
    session, _session = _session, None
    if session is not None:
        try:
            session.uninstall()
        except Exception as exc:
            notices.swallowed("stop", exc)


def session() -> Any:
    """The running session, for tests and doctor; None where nothing is hooked."""
    return _session
