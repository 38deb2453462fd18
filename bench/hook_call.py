"""What one hooked call costs beside the bare function, and whether many jobs leave memory behind.

    python -m bench.hook_call [--calls 2000] [--rounds 25] [--jobs 10000]

Runs in its own process, with the spool in a temporary folder and no Redis.
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
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider

import gentrace
from bench.measuring import Sample, machine, ratios, table
from gentrace.runtime import startup
from gentrace.runtime.engine import Engine

PROFILE = Path(__file__).with_name("hooked") / "profile.toml"
FLUSH_S = 30.0
FLUSH_EVERY = 250  # jobs; the queue holds 8192 spans
MIB = 1024 * 1024
Loop = Callable[[int], Awaitable[None]]


def _engine() -> Engine:
    session = startup.session()
    if session is None:
        raise SystemExit("gentrace hooked nothing: see its line above")
    return session.engine


def flush() -> None:
    """Sees every ended span into the spool."""
    _engine().flush(FLUSH_S)


def loops() -> dict[str, dict[str, Loop]]:
    """The same calls, sync and async, by how they are made."""
    from bench.hooked import work

    off = (work.check, work.check_async)
    if not gentrace.instrument(str(PROFILE)) or work.check is off[0]:
        raise SystemExit("gentrace is not in place; see the line above")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("bench")
    hooked, hooked_async = work.check, work.check_async

    def calling(function: Callable[[int], bool]) -> Loop:
        async def loop(count: int) -> None:
            for _ in range(count):
                function(7)

        return loop

    def awaiting(function: Callable[[int], Awaitable[bool]]) -> Loop:
        async def loop(count: int) -> None:
            for _ in range(count):
                await function(7)

        return loop

    def with_span(number: int) -> bool:
        with tracer.start_as_current_span("check", attributes={"account": "7"}):
            return off[0](number)

    async def with_span_async(number: int) -> bool:
        with tracer.start_as_current_span("check", attributes={"account": "7"}):
            return await off[1](number)

    def inside(loop: Loop) -> Loop:
        async def loop_inside(count: int) -> None:
            await work.process(1, lambda: loop(count))

        return loop_inside

    return {
        "sync": {
            "bare": calling(off[0]),
            "hooked, no generation": calling(hooked),
            "hooked, in a generation": inside(calling(hooked)),
            "bare in a plain SDK span": calling(with_span),
        },
        "async": {
            "bare": awaiting(off[1]),
            "hooked, no generation": awaiting(hooked_async),
            "hooked, in a generation": inside(awaiting(hooked_async)),
            "bare in a plain SDK span": awaiting(with_span_async),
        },
    }


async def calls(count: int, rounds: int) -> None:
    """Interleaves the loops and prints ns a call: of the calling thread, and of the process."""
    rows: list[list[str]] = []
    for kind, named in loops().items():
        thread: dict[str, list[float]] = {name: [] for name in named}
        whole: dict[str, list[float]] = {name: [] for name in named}
        for number in range(rounds + 1):
            for name, loop in named.items():
                mine, all_ = time.thread_time_ns(), time.process_time_ns()
                await loop(count)
                mine = time.thread_time_ns() - mine
                flush()
                all_ = time.process_time_ns() - all_
                if number:  # the first round only warms up
                    thread[name].append(mine / count)
                    whole[name].append(all_ / count)
        for name in named:
            beside = ratios(thread[name], thread["bare"])
            rows.append(
                [
                    f"{kind}: {name}",
                    Sample(tuple(thread[name])).shown(digits=0),
                    f"{beside.median:.1f}",
                    Sample(tuple(whole[name])).shown(digits=0),
                ]
            )
    print(table(["call", "ns, calling thread", "÷ bare", "ns, with export"], rows))


async def jobs(count: int, traced: bool) -> None:
    """Runs jobs and prints, as JSON, the memory after each tenth of them."""
    from bench.hooked import work

    gentrace.instrument(str(PROFILE))
    _engine().process.become("worker")
    if traced:
        tracemalloc.start()
    seen: list[tuple[int, float]] = []
    for number in range(1, count + 1):
        await work.process(number)
        if number % FLUSH_EVERY == 0:
            flush()
        if number % (count // 10) == 0:
            flush()
            gc.collect()
            used = tracemalloc.get_traced_memory()[0] if traced else _resident()
            seen.append((number, used / MIB))
    print(json.dumps({"seen": seen, "lost": _engine().pipeline.lost}))


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory(count: int) -> None:
    """Two more processes, since tracemalloc's own memory is resident too; prints both."""
    rows: list[list[str]] = []
    head: list[str] = []
    for mode in ("resident", "traced"):
        program = [sys.executable, "-m", "bench.hook_call", "--child", mode, "--jobs", str(count)]
        done = subprocess.run(program, stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout)
        head = ["MiB after jobs", *(str(number) for number, _ in found["seen"]), "spans lost"]
        rows.append([mode, *(f"{used:.1f}" for _, used in found["seen"]), str(found["lost"])])
    print(table(head, rows))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.hook_call")
    parser.add_argument("--calls", type=int, default=2000, help="a variant and round")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--child", choices=("resident", "traced"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.environ.get("GENTRACE"):
        raise SystemExit("unset GENTRACE: this measures with and without by itself")
    for name in [name for name in os.environ if name.startswith(("OTEL_", "GENTRACE"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="gentrace-bench-") as folder:
        os.environ["GENTRACE_SPOOL"] = f"{folder}/spool"
        if options.child:
            asyncio.run(jobs(options.jobs, options.child == "traced"))
        else:
            print(f"{machine()}\n")
            asyncio.run(calls(options.calls, options.rounds))
            print()
            memory(options.jobs)
        gentrace.uninstrument()


if __name__ == "__main__":
    main()
