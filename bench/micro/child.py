"""One measurement in a process of its own: `python -m bench.micro.child bare|hooked|parts`.

Prints JSON. The spool and the run store's Redis come by GENTRACE_SPOOL and GENTRACE_REDIS_URL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path

import gentrace
from bench.micro import parts
from bench.micro.cases import GENERATION, Case, cases
from gentrace.runtime import startup
from gentrace.runtime.engine import Engine

PROFILE = Path(__file__).with_name("hooked") / "profile.toml"
FLUSH_S = 30.0


def switched_on() -> Engine:
    """gentrace in this process, with the host of bench/micro/hooked imported."""
    import bench.micro.hooked.work

    if not gentrace.instrument(str(PROFILE)) or bench.micro.hooked.work.check is None:
        raise SystemExit("gentrace is not in place; see the line above")
    session = startup.session()
    if session is None:
        raise SystemExit("gentrace hooked nothing: see its line above")
    session.engine.process.become("worker")
    return session.engine


async def calls(count: int, engine: Engine | None) -> dict[str, tuple[float, float]]:
    """By case: ns a call on the calling thread, and of the whole process until all is written."""
    from bench.micro.hooked import work

    found: dict[str, tuple[float, float]] = {}
    async with AsyncExitStack() as stack:
        everything = list(cases(stack))
        await work.create(GENERATION)  # what jobs and polls are about, and this process has made
        for case in everything:
            await _run(case, count // 10 + 1)  # warms up
            _written(engine)
            whole = time.process_time_ns()
            mine = await _run(case, count)
            _written(engine)
            found[case.name] = mine / count, (time.process_time_ns() - whole) / count
    return found


async def _run(case: Case, count: int) -> int:
    """The calling thread's ns for so many calls, without what stands around them."""
    once, taken = case.once, 0

    async def loop() -> None:
        nonlocal taken
        begun = time.thread_time_ns()
        for _ in range(count):
            await once()
        taken = time.thread_time_ns() - begun

    await case.around(loop)
    return taken


def _written(engine: Engine | None) -> None:
    if engine is not None:
        engine.flush(FLUSH_S)
        engine.store.flush(FLUSH_S)


def main() -> None:
    """Prints what was asked for."""
    parser = argparse.ArgumentParser(prog="bench.micro.child")
    parser.add_argument("what", choices=("bare", "hooked", "parts"))
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    if options.what == "bare":
        found: object = asyncio.run(calls(options.count, None))
    else:
        engine = switched_on()
        if options.what == "hooked":
            found = asyncio.run(calls(options.count, engine))
        else:
            found = parts.measure(engine, options.count)
    print(json.dumps(found))
    gentrace.uninstrument()


if __name__ == "__main__":
    main()
