"""What an interpreter needs to know at its very start, with nothing imported but ``os``.

Every Python process of an environment with ``GENTRACE=1`` runs this: pip, pytest, a shell. All
else waits until the host is imported.
"""

from __future__ import annotations

import os

from gentrace.core import regular_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ON = frozenset({"1", "true", "yes", "on"})
PROFILES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "profiles")


def switched_on(environ: Mapping[str, str] | None = None) -> bool:
    """Whether ``GENTRACE`` asks for tracing (1, true, yes or on)."""
    value = (os.environ if environ is None else environ).get("GENTRACE", "")
    return value.strip().lower() in ON


def switched_off(environ: Mapping[str, str] | None = None) -> bool:
    """Whether ``GENTRACE`` is set and refuses; unset or empty, it says nothing."""
    value = (os.environ if environ is None else environ).get("GENTRACE", "")
    return bool(value.strip()) and not switched_on(environ)


def profile_name(environ: Mapping[str, str] | None = None) -> str:
    """``GENTRACE_PROFILE``, or the default."""
    given = (os.environ if environ is None else environ).get("GENTRACE_PROFILE", "")
    return given or default_profile()


def default_profile() -> str:
    """The shipped profile that is used when none is named; the file ``default`` beside them."""
    try:
        path = os.path.join(PROFILES, "default")
        return regular_files.head(path, 100).decode("utf-8").strip()
    except (OSError, ValueError):
        return ""


def export_off(environ: Mapping[str, str] | None = None) -> bool:
    """Whether ``OTEL_SDK_DISABLED`` or ``OTEL_TRACES_EXPORTER`` wants no spans at all."""
    env = os.environ if environ is None else environ
    disabled = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or env.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"


def is_path(name: str) -> bool:
    """Whether a profile is named by its file."""
    return name.endswith(".toml") or "/" in name or "\\" in name


def packages(name: str) -> tuple[str, ...]:
    """The ``packages`` of a profile's file, read without a TOML parser.

    Empty where the file cannot be read, or says it in a way that only the parser understands:
    then the profile is loaded whole.
    """
    path = name if is_path(name) else os.path.join(PROFILES, f"{name}.toml")
    try:
        text = regular_files.read_text(path)
    except (OSError, ValueError):
        return ()
    for line in text.splitlines():
        key, _, value = line.partition("=")
        value = value.strip()
        if key.strip() == "packages" and value.startswith("[") and value.endswith("]"):
            parts = [part.strip() for part in value[1:-1].split(",") if part.strip()]
            if all(len(part) > 2 and part[0] == part[-1] == '"' for part in parts):
                return tuple(part[1:-1] for part in parts)
        if line.startswith("["):
            break  # packages is a key of the top table
    return ()
