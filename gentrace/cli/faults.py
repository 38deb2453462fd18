"""A fault of a command's own: one message, an exit code of its own, and the traceback in a file."""

from __future__ import annotations

import tempfile
import traceback

from gentrace import __version__

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h: none of the codes that answer a question."""


def told(fault: Exception) -> str:
    """What to say of it: where it happened, where its traceback is kept, and what to do."""
    last = traceback.extract_tb(fault.__traceback__)[-1:]
    place = f" at {last[0].filename}:{last[0].lineno}" if last else ""
    return (
        f"this command failed by a fault of gentrace {__version__} itself: "
        f"{type(fault).__name__}{place}. Nothing that it reads was changed. "
        f"{_kept(fault)} to gentrace's issues, with the command"
    )


def _kept(fault: Exception) -> str:
    """The message's own text may quote what was read: it goes into the file, not on the screen."""
    text = "".join(traceback.format_exception(fault))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="gentrace-fault-", suffix=".txt", delete=False, encoding="utf-8",
            errors="backslashreplace",
        ) as file:  # fmt: skip
            file.write(text)
    except OSError:
        return "Its traceback could not be written to a file; please report this line"
    return f"Its traceback is in {file.name}; please report it"
