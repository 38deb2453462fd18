"""Writes out what has ended while the host's event loop goes on: a worker's or an API's end."""

from __future__ import annotations

import asyncio
import threading
import time

from gentrace.runtime.engine import Engine
from gentrace.runtime.export.pipeline import SEND_SHARE_S


async def flush_off_loop(engine: Engine, timeout_s: float = 2.3) -> None:
    """Flush on a thread, so that the host's event loop goes on; never raises.

    The time is for the store, the endpoint and, where that does not answer, the spool.
    """
    done = threading.Event()

    def work() -> None:
        try:
            engine.store.flush(0.3)
            engine.flush(SEND_SHARE_S)
        finally:
            done.set()

    try:
        threading.Thread(target=work, name="gentrace-flush", daemon=True).start()
        deadline = time.monotonic() + timeout_s
        while not done.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110  a thread sets it
            await asyncio.sleep(0.01)
    except Exception as exc:
        engine.guard("flush").failed(exc)
