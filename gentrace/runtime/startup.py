"""Switching on and off: waits for the host's package, then builds the engine and its hooks.

Until the host's package is imported nothing but the profile is read: a process that never
imports it (pip, pytest, our own commands) gets no provider, thread, file or printed line.
"""

from __future__ import annotations

import sys

from gentrace.core import switch
from gentrace.runtime import notices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from gentrace.runtime.session import Session

# A profile that cannot be read is said in a process that looks like a host, and nowhere else.
_LIKE_A_HOST = ("fastapi", "arq")


class _Trigger:
    """A finder that finds nothing: it notices the first import of the host's package."""

    def __init__(self, profile: str, packages: Sequence[str]) -> None:
        self.profile, self.packages = profile, frozenset(packages)
        self.fired = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self.fired or fullname not in self.packages:
            return None
        self.fire()
        # The import under way does not see the finders that were added just now: ask them here.
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = None if find is None else find(fullname, path, target)
            if spec is not None:
                return spec
        return None

    def fire(self) -> None:
        """Hook the host; we stay on the path, for the list must not shift under an import."""
        if not self.fired:
            self.fired = True
            _activate(self.profile)


_trigger: _Trigger | None = None
_session: Session | None = None


def start(profile: str | None = None, *, switched: bool = False) -> bool:
    """Wait for the host; hook at once what is imported already.

    Args:
        profile: a name or file; ``GENTRACE_PROFILE`` otherwise.
        switched: by ``GENTRACE=1`` and not by a program: then a profile that cannot be used is
            said where a host comes up, and not in every Python process.

    Returns:
        False when export is switched off or the profile cannot be used.
    """
    global _trigger
    if _trigger is not None:
        return _session is not None or not _trigger.fired
    if switch.export_off():
        return False
    name = profile or switch.profile_name()
    try:
        packages = switch.packages(name) or _packages_of(name)
    except Exception as exc:
        if not switched:
            _say_unusable(exc)
            return False
        packages = _LIKE_A_HOST
    _trigger = _Trigger(name, packages)
    sys.meta_path.insert(0, _trigger)  # pyright: ignore[reportArgumentType]
    if any(package in sys.modules for package in packages):
        _trigger.fire()
    return True


def _packages_of(name: str) -> tuple[str, ...]:
    from gentrace.core.profile import load

    return load(name, strict=False)[0].packages


def _say_unusable(exc: Exception) -> None:
    from gentrace.core.errors import ProfileError

    if isinstance(exc, ProfileError):
        notices.say_once("profile", f"{exc}; the host runs without tracing")
    else:
        notices.swallowed("start", exc)


def _activate(name: str) -> None:
    """The host is about to be imported: build everything. Never raises."""
    global _session
    try:
        from gentrace.core import settings
        from gentrace.core.profile import load

        profile, warnings = load(name, strict=False)
        for warning in warnings:
            notices.say_once(warning, f"{warning}; ignored")

        from gentrace.runtime.hooks import instrumentors
        from gentrace.runtime.session import Session

        _session = Session(profile, settings.read())
        instrumentors.watch(_session.engine)
        _session.install()
    except ImportError as exc:
        notices.say_once(
            "import",
            f"{exc.name or 'a package'} cannot be imported ({exc}); the host runs without "
            "tracing. Install gentrace with its dependencies into the host's environment",
        )
    except Exception as exc:
        _say_unusable(exc)


def stop() -> list[str]:
    """Take the hooks out and see out what was recorded; returns who keeps one. Never raises."""
    global _trigger, _session
    trigger, _trigger = _trigger, None
    if trigger is not None and trigger in sys.meta_path:
        sys.meta_path.remove(trigger)  # pyright: ignore[reportArgumentType]
    session, _session = _session, None
    if session is not None:
        try:
            return session.uninstall()
        except Exception as exc:
            notices.swallowed("stop", exc)
    return []


def session() -> Session | None:
    """The running session, for tests and doctor; None where nothing is hooked."""
    return _session
