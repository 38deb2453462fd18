"""What a tool adds to the start of a Python process: one that is no host, and the host's API.

CPU of the whole process, from exec to exit, of a script of one line. Off is the tool's environment
with the tool not switched on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import hosts
from bench.cost.environments import Environment
from bench.cost.variants import API, NOBODY, Way

PASS = "pass"
IMPORT = "import pixsim7.backend.main.main"
Case = tuple[str, bool]
"""The code, and whether the tool is on."""
CASES: tuple[Case, ...] = ((PASS, False), (PASS, True), (IMPORT, False), (IMPORT, True))


class Failed(Exception):
    """A program that should have started has not."""


@dataclass
class StartUps:
    """The milliseconds of each case, round by round."""

    way: Way
    ms: dict[Case, list[float]] = field(default_factory=lambda: {case: [] for case in CASES})


def measure(ways: Sequence[tuple[Way, Environment]], rounds: int, folder: Path) -> list[StartUps]:
    """Runs every case once a round, after one round that fills the caches of bytecode.

    A way without a tool has nothing to be switched on: what its cases differ by is noise.
    """
    seen = [StartUps(way) for way, _ in ways]
    for number in range(rounds + 1):
        for (way, environment), own in zip(ways, seen, strict=True):
            for code, on in CASES:
                command = [_script(environment, code, folder)]
                env = {**hosts.environment(), "GENTRACE_SPOOL": str(folder / "spool")}
                if on:
                    command = [*way.prefix(environment), *command]
                    env |= way.env(NOBODY, API)
                used = cpu_ms(command, env, folder)
                if number:
                    own.ms[code, on].append(used)
    return seen


def _script(environment: Environment, code: str, folder: Path) -> str:
    """The code as an installed command is: any tool's prefix can stand before it."""
    path = folder / f"{environment.tool.name}-{'pass' if code == PASS else 'import'}"
    path.write_text(f"#!{environment.script('python')}\n{code}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def cpu_ms(command: list[str], env: Mapping[str, str], cwd: Path) -> float:
    """User and system time of one run; a run that fails is an error."""
    with (cwd / "startup.log").open("ab") as log:
        running = subprocess.Popen(
            command, env=dict(env), cwd=cwd, stdout=log, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        last = (cwd / "startup.log").read_text(errors="replace").splitlines()[-5:]
        raise Failed(f"{command} ended with {running.returncode}: " + " | ".join(last))
    return (used.ru_utime + used.ru_stime) * 1000
