"""Whether many jobs leave memory behind: `python -m bench.micro.memory [--jobs 10000]`.

Jobs of the host in bench/micro/hooked, four spans each, each of a generation of its own, with the
spool in a temporary folder and no Redis: what a real worker keeps is bench.many_jobs' question. Two
processes, since the memory of tracemalloc is resident, too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import gentrace
from bench import hosts
from bench.measuring import machine, resident_mib, table
from bench.micro.child import FLUSH_S, switched_on

FLUSH_EVERY = 250  # jobs; the queue holds 8192 spans
READINGS = 10


async def jobs(count: int, traced: bool) -> dict[str, object]:
    """Runs jobs; the memory in MiB after each tenth of them, and the spans that were lost."""
    engine = switched_on()
    from bench.micro.hooked import work

    if traced:
        tracemalloc.start()
    seen: list[tuple[int, float]] = []
    for number in range(1, count + 1):
        await work.process(number)
        if number % FLUSH_EVERY == 0:
            engine.flush(FLUSH_S)
        if number % (count // READINGS) == 0:
            engine.flush(FLUSH_S)
            gc.collect()
            mib = (
                tracemalloc.get_traced_memory()[0] / 2**20 if traced else resident_mib(os.getpid())
            )
            seen.append((number, mib))
    return {"seen": seen, "lost": engine.pipeline.lost}


def main() -> None:
    """Prints a row for each process."""
    parser = argparse.ArgumentParser(prog="bench.micro.memory")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--child", choices=("resident", "traced"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(asyncio.run(jobs(options.jobs, options.child == "traced"))))
        gentrace.uninstrument()
        return
    print(f"{machine()}\n")
    rows: list[list[str]] = []
    head: list[str] = []
    with tempfile.TemporaryDirectory(prefix="gentrace-bench-") as folder:
        env = {**hosts.environment(), "PYTHONPATH": str(hosts.ROOT)}
        for mode in ("resident", "traced"):
            program = [sys.executable, "-m", "bench.micro.memory", "--child", mode]
            done = subprocess.run(
                [*program, "--jobs", str(options.jobs)],
                env={**env, "GENTRACE_SPOOL": str(Path(folder) / "spool")},
                stdout=subprocess.PIPE,
                check=True,
            )
            found = json.loads(done.stdout)
            head = ["MiB after jobs", *(str(number) for number, _ in found["seen"]), "spans lost"]
            rows.append([mode, *(f"{used:.1f}" for _, used in found["seen"]), str(found["lost"])])
    print(table(head, rows))


if __name__ == "__main__":
    main()
