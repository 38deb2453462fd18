"""``show``: a header that says how the run went, then its spans as a waterfall."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from gentrace.analysis import remarks
from gentrace.analysis.runs import Run
from gentrace.analysis.stretches import since_ns
from gentrace.analysis.tries import tries
from gentrace.report import words
from gentrace.report.links import Links, print_searches
from gentrace.report.terminal import address, say, write
from gentrace.report.tries import print_tries
from gentrace.report.waterfall import print_waterfall


def print_show(
    to: Console,
    runs: Sequence[Run],
    chosen: Run,
    *,
    everything: bool = False,
    now_ns: int = 0,
    links: Links | None = None,
) -> None:
    """Print one run in full, and a line for each other run of the generation.

    Args:
        everything: unfold SQL and HTTP, print every attribute and whole stacks.
        links: print where Jaeger's page shows the run, and the other runs where there are any.
    """
    now_ns = now_ns or time.time_ns()
    _header(to, chosen, now_ns)
    if links:
        address(to, links.trace(chosen.trace_id))
    for run in runs:
        if run is not chosen:
            _other(to, run, now_ns)
    if links and len(runs) > 1:
        print_searches(to, links.of_generation(runs), len(runs))
    made = tries(chosen.parts)
    print_tries(to, made, chosen.trace.start_ns)
    to.print()
    print_waterfall(to, chosen.trace.spans, made, everything=everything)


def _header(to: Console, run: Run, now_ns: int) -> None:
    title = Text(f"generation {run.id}" if run.id else "a request that made no generation", "bold")
    if run.number > 1:
        title.append(f"  run {run.number}", "bold")
    if run.id is not None:
        label = run.outcome or "unfinished"
        title.append(f"  {label}", words.STYLES.get(label, "bold"))
    if run.duration_ns is not None:
        title.append(f"  {words.duration(run.duration_ns)}")
    write(to, title)
    say(
        to,
        words.joined(
            (
                run.operation,
                words.asked(run.provider, run.model),
                f"account {run.account}" if run.account else None,
                f"user {run.user}" if run.user else None,
                f"stage {run.stage}" if run.stage and run.stage != "finished" else None,
            )
        )
        or "nothing is known of what was asked",
    )
    say(
        to,
        f"{words.moment(run.start_ns)} ({words.age(run.start_ns, now_ns)} ago)"
        f" · trace {run.trace_id}",
        "dim",
    )
    if run.returned_id:
        status = f", then {run.returned_status}" if run.returned_status else ""
        say(to, f"answered with the existing generation {run.returned_id}{status}")
    if run.state is not None:
        waiting, seen = (words.age(at, now_ns) for at in (since_ns(run), run.last_ns))
        say(to, f"{run.state} for {waiting}, last sign of life {seen} ago", "cyan")
    if run.error_message or run.error_code or run.error_type:
        kind = words.error(run.error_code, run.error_type)
        if run.error_http_status is not None:
            kind = words.joined((kind, f"HTTP {run.error_http_status}"), " ")
        say(to, f"✗ {words.joined((kind, run.error_message), ': ')}", "red")
        if run.error_place is not None or run.error_cause not in (None, run.error_type):
            say(to, f"  {words.began(run.error_cause, run.error_place)}", "red")
    spent = [
        f"{state} {words.duration(ns)} ({words.percent(share)})"
        for state, ns, share in words.shares(run.times.spent_ns)
    ]
    if run.id is not None and spent:
        say(to, "time: " + " · ".join(spent))
    if run.incomplete:
        say(to, f"incomplete: {', '.join(sorted(run.incomplete))}", "yellow")
    for text in remarks.of_run(run, brief=True):
        say(to, text, "yellow")


def _other(to: Console, run: Run, now_ns: int) -> None:
    took = words.duration(run.duration_ns) if run.duration_ns is not None else None
    told = (
        f"run {run.number}",
        run.outcome or "unfinished",
        took,
        words.clock(run.start_ns, now_ns),
        f"gentrace show {run.trace_id}",
    )
    say(to, f"also {words.joined(told)}", "dim")
