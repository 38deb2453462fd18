"""Traces of odd shapes and any size: deep, wide, without ends, without parents, tried for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gentrace.analysis.parts import OWN_ENQUEUE
from gentrace.core import names
from gentrace.core.spans import Event, Span, Trace, traces

START = 1_782_000_000_000_000_000
TRACE = "5a" * 16


def shaped(shape: str, size: int, trace_id: str = TRACE, generation: str = "1") -> Trace:
    """A trace of some ``size`` spans, its run span among them."""
    length_ns = (size + 2) * 1_000_000
    told: dict[str, Any] = {
        names.GENERATION_ID: generation,
        names.OUTCOME: "completed",
        names.OPERATION: "text_to_video",
    }
    own = Span(trace_id, f"{1 << 40:016x}", "", names.RUN, "INTERNAL", START, START + length_ns,
               told)  # fmt: skip
    found = [Span(trace_id, **each) for each in SHAPES[shape](size, generation)]
    (whole,) = traces([*found, own])
    return whole


def _span(number: int, above: int, name: str, generation: str, **told: Any) -> dict[str, Any]:
    at_ns = START + number * 1_000
    found: dict[str, Any] = {
        "span_id": f"{number + 1:016x}",
        "parent_id": f"{above + 1:016x}" if above >= 0 else "",
        "name": name,
        "start_ns": at_ns,
        "end_ns": at_ns + 500_000,
        "attributes": {names.GENERATION_ID: generation},
        "service": "worker",
        "instance": "worker-1",
    }
    return found | told


def _chain(size: int, generation: str) -> Iterator[dict[str, Any]]:
    for n in range(size):
        yield _span(n, n - 1, "step", generation, end_ns=START + (2 * size - n) * 1_000)


def _named_chain(size: int, generation: str) -> Iterator[dict[str, Any]]:
    for n in range(size):
        yield _span(n, n - 1, f"step {n}", generation)


def _open_chain(size: int, generation: str) -> Iterator[dict[str, Any]]:
    for n in range(size):
        yield _span(n, n - 1, "step", generation, end_ns=0)


def _wide(size: int, generation: str) -> Iterator[dict[str, Any]]:
    for n in range(size):
        yield _span(n, 0 if n else -1, f"child {n % 7}", generation)


def _comb(size: int, generation: str) -> Iterator[dict[str, Any]]:
    """Calls within calls, each with one beside it that fails and was logged."""
    logged = (Event("app.retry", START + 1),)
    for n in range(0, size - 1, 2):
        yield _span(n, n - 2 if n else -1, "step", generation, events=logged)
        yield _span(n + 1, n, "leaf", generation, status="ERROR", events=logged)


def _parentless(size: int, generation: str) -> Iterator[dict[str, Any]]:
    for n in range(0, size - 1, 2):
        yield _span(n, -1, OWN_ENQUEUE, generation, kind="PRODUCER")
        yield _span(n + 1, n + 10**6, "step", generation)


def _tried(size: int, generation: str) -> Iterator[dict[str, Any]]:
    """Each try hangs under the enqueue of the one before, submits, ends and is put back."""
    above = -1
    for n in range(0, size - 3, 4):
        attributes = {names.GENERATION_ID: generation, names.ENQUEUE_DEFER: 1.5}
        job = {**attributes, names.JOB_STATUS: "requeued", names.JOB_OUTCOME: "succeeded"}
        ended = {names.GENERATION_ID: generation, names.OUTCOME: "failed"}
        changed = (Event(names.EVENT_STATUS, START + n * 1_000 + 4_000, {names.OUTCOME: "failed"}),)
        yield _span(n, above, OWN_ENQUEUE, generation, kind="PRODUCER", attributes=attributes)
        yield _span(n + 1, n, names.PROCESS_GENERATION, generation, kind="CONSUMER",
                    attributes=job, end_ns=START + n * 1_000 + 3_500)  # fmt: skip
        yield _span(n + 2, n + 1, names.PROVIDER_EXECUTE, generation, status="ERROR")
        yield _span(n + 3, n + 1, names.FINISH, generation, attributes=ended, events=changed)
        above = n + 1


def _shared(size: int, generation: str) -> Iterator[dict[str, Any]]:
    """Many generations in one trace, each made by the one before."""
    for n in range(0, size - 1, 2):
        own = {names.GENERATION_ID: f"{generation}-{n}"}
        yield _span(n, n - 1, names.CREATE_GENERATION, generation, attributes=own)
        yield _span(n + 1, n, "step", generation, attributes={})


SHAPES: Mapping[str, Callable[[int, str], Iterator[dict[str, Any]]]] = {
    "chain": _chain,
    "named chain": _named_chain,
    "open chain": _open_chain,
    "wide": _wide,
    "comb": _comb,
    "parentless": _parentless,
    "tried": _tried,
    "shared": _shared,
}
