"""The parts that hooks are made of: a span, the carrier, a step told to the run store, the spool.

Each is measured on the thread that calls it, and where our own threads have work of it, there too.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import TracerProvider
from redis import Redis

from bench.cleaning import spans_of
from bench.cost.counting import info, redis_commands
from gentrace.core import names
from gentrace.runtime import carrier
from gentrace.runtime.context import Run
from gentrace.runtime.engine import Engine
from gentrace.runtime.export.spool import Spool
from gentrace.runtime.runs import steps

FLUSH_S = 30.0
EXPORT, STORE = "gentrace-export", "gentrace-store"
ATTRIBUTES = {
    names.OPERATION: "text_to_video",
    names.PROVIDER: "pixverse",
    names.MODEL: "v5",
    names.ACCOUNT_ID: "3",
    names.USER_ID: "12",
}
ENQUEUED = steps.Enqueued("process", 0, 0, "00f067aa0ba902b7")


class Part(NamedTuple):
    """What one costs: ns on the calling thread and on ours, and what else is told of it."""

    mine_ns: float
    ours_ns: float = 0.0
    more: str = ""


def measure(engine: Engine, count: int) -> dict[str, Part]:
    """Every part, so many times."""
    tracing, run = engine.tracing, Run("1", owned=True)

    def span() -> None:
        tracing.end(tracing.start("check", run, attributes=ATTRIBUTES), run)

    plain = TracerProvider(shutdown_on_exit=False).get_tracer("bench")

    def plain_span() -> None:
        plain.start_span("check", attributes=ATTRIBUTES).end()

    span()
    engine.flush(FLUSH_S)  # the export's thread is there
    at_work = tracing.start("enqueue", run, attributes=ATTRIBUTES)
    run.parent = at_work.get_span_context()
    fields = carrier.inject(at_work)
    if engine.settings.shown_endpoint:
        return {"a span, to an OTLP receiver": _timed(span, count, EXPORT, engine)}
    return {
        "a plain span of the SDK": _timed(plain_span, count),
        "a span, to the spool": _timed(span, count, EXPORT, engine),
        "inject": _timed(lambda: carrier.inject(at_work), count),
        "extract": _timed(lambda: carrier.extract(fields), count),
        "a step told to the run store": _told(engine, run, count),
        "the spool alone, by span": _spool(count),
    }


def _timed(
    once: Callable[[], object], count: int, thread: str = "", engine: Engine | None = None
) -> Part:
    for _ in range(count // 10 + 1):
        once()
    _see_out(engine)
    ours = _cpu_ns(thread)
    begun = time.thread_time_ns()
    for _ in range(count):
        once()
    mine = time.thread_time_ns() - begun
    _see_out(engine)
    return Part(mine / count, (_cpu_ns(thread) - ours) / count)


def _see_out(engine: Engine | None) -> None:
    if engine is not None:
        engine.flush(FLUSH_S)
        engine.store.flush(FLUSH_S)


def _cpu_ns(name: str) -> int:
    """CPU of a thread of ours by its name; 0 for none."""
    for thread in threading.enumerate():
        if name and thread.name == name and thread.ident is not None:
            return time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident))
    return 0


def _told(engine: Engine, run: Run, count: int) -> Part:
    """One step is written at a time: in a generation they seldom come close to each other."""
    client: Any = Redis.from_url(engine.settings.redis_url)

    def once() -> None:
        steps.enqueued(engine, run, ENQUEUED)

    once()
    _see_out(engine)
    before, ours, mine = redis_commands(info(client, "commandstats")), _cpu_ns(STORE), 0
    for _ in range(count):
        begun = time.thread_time_ns()
        once()
        mine += time.thread_time_ns() - begun
        engine.store.flush(FLUSH_S)
    ours = _cpu_ns(STORE) - ours
    commands = redis_commands(info(client, "commandstats")) - before
    client.close()
    return Part(mine / count, ours / count, f"{commands / count:.1f} Redis commands")


def _spool(count: int) -> Part:
    """Encoded and written, a generation's spans at a time."""
    batches = [spans_of(number)[0] for number in range(max(2, count // 10))]
    spans = sum(len(batch) for batch in batches)
    with tempfile.TemporaryDirectory() as text:
        spool = Spool(Path(text), 2**28, 3600, "bench")
        spool.write_spans(spans_of(0)[0])
        size = _size(Path(text))
        begun = time.thread_time_ns()
        for batch in batches:
            spool.write_spans(batch)
        taken = time.thread_time_ns() - begun
        spool.close()
        size = _size(Path(text)) - size
    return Part(0, taken / spans, f"{size / spans:.0f} bytes")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
