"""What is wrong with one run's spans, or missing, and what was done about it, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from gentrace.analysis import timeline
from gentrace.analysis.runs import Run
from gentrace.core import names
from gentrace.core.spans import Span, plain, repeated
from gentrace.sources.processes import ProcessRecord

_CLOCKS_AGREE_NS = 1_000_000


def of_run(run: Run, brief: bool = False) -> list[str]:
    """The sentences; none for a run whose spans are as they should be.

    Args:
        brief: leave out what stands above a run: that it is none, or that it goes on.
    """
    told: list[str] = []
    going = run.id is not None and run.outcome is None
    if run.id is not None and run.parts.run is None and not (brief and going):
        told.append("no run span is there; its times are worked out from the other spans")
    if going and not brief:
        told.append("it has not ended; counted up to its last sign of life")
    if run.id is None and not brief:
        told.append("this request made no run")
    if early := skewed(run.parts.spans):
        spans = "one span starts" if early == 1 else f"{early} spans start"
        told.append(f"clock: {spans} before the parent of another process: their clocks differ")
    if missing_ns := timeline.missing_ns(run.parts):
        what = "are missing, and unexplained" if missing_ns > 0 else "are too many, and were cut"
        told.append(
            f"the times on the run span do not add up to it; {abs(missing_ns) / 1e9:.3f} s {what}"
        )
    if run.times.late:
        steps = "one step" if run.times.late == 1 else f"{run.times.late} steps"
        told.append(f"clock: {steps} came out of order and count as 0")
    if run.trace.repeated:
        told.append(repeated(run.trace.repeated))
    return [*told, *stale(run.parts.spans)]


def stale(spans: Sequence[Span]) -> list[str]:
    """Which process ran code that was not what was on disk: one sentence a process."""
    files: dict[str, dict[str, None]] = {}
    for span in spans:
        told = span.attributes.get(names.CODE_STALE)
        if told:
            listed = told if isinstance(told, list | tuple) else [told]
            into = files.setdefault(_process(span), {})
            into.update({plain(each): None for each in listed})  # pyright: ignore[reportUnknownVariableType]
    return [
        f"stale code in {process}: it ran what was loaded, and on disk is another "
        f"({', '.join(each)}); restart it"
        for process, each in files.items()
    ]


def imports(run: Run, processes: Sequence[ProcessRecord]) -> list[str]:
    """What the processes that the run crossed could not import; a completed run needed none of it.

    Args:
        processes: what the source tells of them.
    """
    if run.outcome == names.COMPLETED:
        return []
    return [
        f"{process.text('service') or process.text('role')} (pid {process.text('pid')}) could not "
        f"import {', '.join(errors)}"
        for process in processes
        if (errors := process.texts("import_errors"))
    ]


def instances(run: Run) -> set[str]:
    """The processes that the run crossed, by service.instance.id."""
    told = run.parts.run.attributes.get(names.PROCESSES) if run.parts.run else None
    named = [plain(each) for each in told] if isinstance(told, list | tuple) else []  # pyright: ignore[reportUnknownVariableType]
    return {*named, *(span.instance for span in run.parts.spans if span.instance)}


def _process(span: Span) -> str:
    pid = span.resource.get("process.pid")
    return f"{span.service} (pid {plain(pid)})" if pid is not None else span.service


def skewed(spans: Sequence[Span]) -> int:
    """How many spans start before their parent of another process: their clocks differ."""
    known = {span.span_id: span for span in spans}
    pairs = ((known.get(span.parent_id), span) for span in spans)
    return sum(
        parent is not None
        and parent.instance != span.instance
        and span.start_ns < parent.start_ns - _CLOCKS_AGREE_NS
        for parent, span in pairs
    )
