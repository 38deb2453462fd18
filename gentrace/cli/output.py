"""Standard output as it is met: closed, a pipe that nobody reads on, full, or no UTF-8."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Sequence

from gentrace.core.errors import UsageError
from gentrace.report.visible import visible

_arguments: list[str] = []


def arguments() -> tuple[str, ...]:
    """The command line that is being run, without the program."""
    return tuple(_arguments)


def prepare(given: Sequence[str] = ()) -> None:
    """Let nothing that is to be said fail for want of a stream, or of a character in its set.

    Args:
        given: the command line; it is kept.
    """
    _arguments[:] = given
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def written(command: Callable[[], int]) -> int:
    """Run a command and see its output off; returns its exit code.

    Who reads the beginning only (``| head``) has had what was wanted.

    Raises:
        UsageError: the output cannot be written.
    """
    try:
        code = command()
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0
    except OSError as exc:
        if exc.filename is not None or exc.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
            raise
        _abandon()
        raise UsageError(f"the output cannot be written: {exc.strerror}") from None
    else:
        return code
    _abandon()
    return code


def say(text: str) -> None:
    """One line on stderr; what others wrote in it cannot command the terminal."""
    print(f"gentrace: {visible(text)}", file=sys.stderr)


def _abandon() -> None:
    """Nothing more goes there, what is still held back at the exit included."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
