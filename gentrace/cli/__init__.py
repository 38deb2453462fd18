"""The ``gentrace`` command. This module needs the standard library only; so does ``exec``."""

from __future__ import annotations

import gc
import sys

_GARBAGE_AFTER = 200_000
NEEDS_CLI = (
    "gentrace: this command needs the reading side, which is not installed here; install it with\n"
    "    pip install 'gentrace[cli]'"
)


def main() -> None:
    """Run the command line; leaves with its exit code."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["exec"]:
        from gentrace.cli import exec as exec_command

        sys.exit(exec_command.run(arguments[1:]))
    if arguments[:1] == ["--version"]:
        from gentrace import __version__

        print(f"gentrace {__version__}")
        sys.exit(0)
    # A reading command is short, and what it makes by the million is in no circle.
    gc.set_threshold(_GARBAGE_AFTER, 20, 20)
    try:
        import rich
        import typer
    except ImportError:
        print(NEEDS_CLI, file=sys.stderr)
        sys.exit(2)
    del rich, typer
    from gentrace.cli.app import run

    sys.exit(run(arguments))
