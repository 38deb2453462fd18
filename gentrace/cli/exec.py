"""``gentrace exec -- CMD``: run a command with ``GENTRACE=1``. Standard library only.

A folder in front of PYTHONPATH holds the switch for where Python reads no ``.pth``.

The host's ``.env`` is read for the variables of gentrace and OpenTelemetry, since the host itself
reads it only after the interpreter, and with it the hook, has started.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from gentrace.core import dotenv

USAGE = """\
usage: gentrace exec [--] COMMAND [ARGUMENT ...]

Run COMMAND with GENTRACE=1. Variables GENTRACE_* and OTEL_* that are not set yet are taken from the
nearest .env, here or in a folder above. Example: gentrace exec -- arq app.worker.WorkerSettings
"""
NOT_FOUND, NOT_EXECUTABLE = 127, 126
_OURS = ("GENTRACE", "OTEL_")
ON_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "exec_path")


def run(arguments: Sequence[str]) -> int:
    """Replace this process with the command (on Windows: wait for it).

    Returns:
        The command's exit code where there is no exec; 127 where it is not found, 126 where it
        cannot be run, 2 without a command.
    """
    command = list(arguments)
    if command[:1] in (["--help"], ["-h"]):
        print(USAGE, end="")
        return 0
    if command[:1] == ["--"]:
        del command[0]
    elif command and command[0].startswith("-"):
        print(f"gentrace exec: unknown option {command[0]}\n{USAGE}", end="", file=sys.stderr)
        return 2
    if not command:
        print(USAGE, end="", file=sys.stderr)
        return 2
    env = environment(os.environ, dotenv.nearest(os.curdir))
    try:
        if os.name == "nt":
            return _wait(command, env)
        sys.stdout.flush()
        os.execvpe(command[0], command, env)
    except FileNotFoundError:
        print(f"gentrace exec: {command[0]}: command not found", file=sys.stderr)
        return NOT_FOUND
    except OSError as exc:
        print(f"gentrace exec: {command[0]}: {exc.strerror}", file=sys.stderr)
        return NOT_EXECUTABLE


def environment(current: Mapping[str, str], path: str | None) -> dict[str, str]:
    """The command's environment: the current one, what ``.env`` adds to it, and the switch."""
    env = dict(current)
    for name, value in dotenv.read(path).items() if path else ():
        if name.startswith(_OURS):
            env.setdefault(name, value)
    env["GENTRACE"] = "1"
    listed = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path != ON_PATH]
    env["PYTHONPATH"] = os.pathsep.join([ON_PATH, *(listed if any(listed) else ())])
    return env


def _wait(command: list[str], env: Mapping[str, str]) -> int:
    """Run the command and wait: Windows has no exec that keeps the process id."""
    with subprocess.Popen(command, env=dict(env)) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the console sent it to the command as well, which decides
