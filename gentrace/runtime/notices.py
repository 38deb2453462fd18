"""The few lines gentrace says in a host: each once a process, on stderr, never an exception."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_said: set[str] = set()
# Tests put a function here that turns every swallowed error into a failure.
on_swallowed: list[Callable[[str, BaseException], None]] = []
# What may be said of a line; the session puts its scrubber here.
shown: Callable[[str], str] = str


def say_once(key: str, message: str) -> None:
    """Write ``gentrace: message`` to stderr, unless something under that key was said before."""
    if key in _said:
        return
    _said.add(key)
    try:
        stream = sys.stderr
        if stream is not None:
            stream.write(f"gentrace: {shown(message)}\n")
            stream.flush()
    except Exception:
        return


def swallowed(where: str, exc: BaseException) -> None:
    """An error of ours that the host must not see: said once a kind, told to the tests."""
    for listener in on_swallowed:
        listener(where, exc)
    say_once(
        f"swallowed:{where}:{type(exc).__name__}",
        f"{where} failed with {type(exc).__name__} and was skipped; the host is not affected",
    )


def forget() -> None:
    """Forget what was said (a forked child and the tests start afresh)."""
    _said.clear()
