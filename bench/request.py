"""What a request of a route that the profile does not name costs beside FastAPI alone.

    python -m bench.request [--calls 500] [--rounds 40]

The application is called as a server calls it, without one; runs in its own process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import gentrace
from bench.measuring import Sample, machine, ratios, table

PROFILE = Path(__file__).with_name("hooked") / "profile.toml"
Answer = Callable[..., Awaitable[None]]


def ways() -> dict[str, Callable[[], Awaitable[None]]]:
    """The same request, to FastAPI's own ``__call__`` and to the hooked one."""
    import fastapi

    import bench.hooked.work  # the host that makes gentrace begin

    if not gentrace.instrument(str(PROFILE)):
        raise SystemExit("gentrace is not in place; see the line above")
    assert bench.hooked.work.check is not None
    app = fastapi.FastAPI()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    bare: Any = vars(fastapi.FastAPI)["__call__"].__wrapped__

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(_message: Any) -> None:
        return

    def asking(answer: Answer) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            asked = {
                "type": "http", "method": "GET", "path": "/health", "headers": [(b"host", b"x")],
                "query_string": b"", "http_version": "1.1", "scheme": "http",
                "server": ("x", 80), "client": ("y", 1), "root_path": "",
            }  # fmt: skip
            await answer(asked, receive, send)

        return ask

    return {
        "FastAPI alone": asking(lambda *given: bare(app, *given)),
        "hooked, a route not named": asking(app),
    }


async def run(calls: int, rounds: int) -> None:
    """Interleaves the ways and prints µs a request of the calling thread."""
    named = ways()
    taken: dict[str, list[float]] = {name: [] for name in named}
    for number in range(rounds + 1):
        for name, ask in named.items():
            began = time.thread_time_ns()
            for _ in range(calls):
                await ask()
            if number:  # the first round only warms up
                taken[name].append((time.thread_time_ns() - began) / calls / 1000)
    alone = taken["FastAPI alone"]
    rows = [
        [name, Sample(tuple(each)).shown(digits=1), f"{ratios(each, alone).median:.3f}"]
        for name, each in taken.items()
    ]
    print(table(["request", "µs, calling thread", "÷ alone"], rows))


def main() -> None:
    """Measures, with the spool in a temporary folder and no Redis."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GENTRACE_SPOOL"] = folder
        print(machine())
        asyncio.run(run(options.calls, options.rounds))
        gentrace.uninstrument()


if __name__ == "__main__":
    main()
