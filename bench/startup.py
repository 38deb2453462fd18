"""What GENTRACE=1 adds to the start of a Python process: one that is no host, and the host's API.

    python -m bench.startup [--rounds 25]

CPU of the whole process, from exec to exit, interleaved.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench import hosts
from bench.measuring import Sample, machine, ratios, table

PASS = "pass"
IMPORT = "import pixsim7.backend.main.main"


def cost_ms(command: list[str], env: Mapping[str, str], cwd: Path) -> float:
    """User and system time of one run; a run that fails is an error."""
    with subprocess.Popen(command, env=dict(env), cwd=cwd) as running:
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{command} ended with {running.returncode}")
    return (used.ru_utime + used.ru_stime) * 1000


def measure(rounds: int, folder: Path) -> None:
    """Runs every variant once a round, after one round that fills the caches of bytecode."""
    env = {**hosts.environment(), "GENTRACE_SPOOL": str(folder / "spool")}
    on = {**env, "GENTRACE": "1"}
    python = [sys.executable, "-c"]
    named = {
        "python -c pass": ([*python, PASS], env),
        "the same, GENTRACE=1": ([*python, PASS], on),
        "import the API": ([*python, IMPORT], env),
        "the same, GENTRACE=1 ": ([*python, IMPORT], on),
    }
    program = hosts.auto_instrumentation()
    if program is not None:
        exporter = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
        silent = {**env, **exporter, "OTEL_LOGS_EXPORTER": "none"}
        named["the same, opentelemetry-instrument"] = ([program, *python, IMPORT], silent)
    seen: dict[str, list[float]] = {name: [] for name in named}
    for number in range(rounds + 1):
        for name, (command, environ) in named.items():
            used = cost_ms(command, environ, folder)
            if number:
                seen[name].append(used)
    bases = {PASS: seen["python -c pass"], IMPORT: seen["import the API"]}
    rows: list[list[str]] = []
    for name, (command, _) in named.items():
        shown = Sample(tuple(seen[name])).shown(digits=1)
        rows.append([name.strip(), shown, ratios(seen[name], bases[command[-1]]).shown()])
    print(table(["process", "CPU ms", "÷ without"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.startup")
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory(prefix="gentrace-bench-") as folder:
        measure(options.rounds, Path(folder))


if __name__ == "__main__":
    main()
