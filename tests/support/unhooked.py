"""What the host had put where a hook of ours stands."""

from __future__ import annotations

from typing import Any

from gentrace.runtime import wrapping


def unhooked(raw: Any) -> Any:
    """The entry of a class's or module's namespace as the host wrote it, or its like."""
    function = wrapping.wrapper_in(raw).__wrapped__
    return type(raw)(function) if type(raw) in (staticmethod, classmethod) else function
