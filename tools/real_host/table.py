"""The Markdown table of what was seen, and beside it what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gentrace.core.run.times import State
from tools.real_host.checks import Verdict
from tools.real_host.day import Case

COUNTS = ("tries", "requeues", "attempts", "polls")
HEAD = (
    "revision",
    "scenario",
    "run span",
    "times",
    "boundaries",
    "begin / end of the render",
    "unexplained",
    "problems",
)


def table(label: str, rows: Iterable[tuple[Case, Verdict]]) -> str:
    """One line a run."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    lines += [_line(_cells(label, case, verdict)) for case, verdict in rows]
    return "\n".join(lines)


def problems_of(case: Case, verdict: Verdict, last: bool) -> list[str]:
    """The verdict's problems, and each attribute that is not as the scenario expects."""
    found = list(verdict.problems)
    if last and verdict.run is not None:
        for name, values in case.expected.items():
            if (value := verdict.run.get(name)) not in values:
                found.append(f"{name} {value}, expected {' or '.join(map(str, values))}")
        for state, most_s in case.at_most.items():
            if (spent_s := verdict.run.times[State(state)]) > most_s:
                found.append(f"{state} {spent_s:.1f} s, expected {most_s} s at most")
    return found


def details(rows: Sequence[tuple[Case, Verdict]]) -> str:
    """For each run its generation, its trace and its problems in full."""
    lines: list[str] = []
    for case, verdict in rows:
        lines.append(f"- {case.scenario}: generation {case.generation_id}, {verdict.trace_id}")
        lines += [f"  - {problem}" for problem in verdict.problems]
        if case.note:
            lines.append(f"  - note: {case.note}")
    return "\n".join(lines)


def _cells(label: str, case: Case, verdict: Verdict) -> list[str]:
    problems = "; ".join(verdict.problems) or "–"
    if (run := verdict.run) is None:
        return [label, case.scenario, "none", "", "", verdict.render, "", problems]
    counts = ", ".join(f"{name} {run.get(name)}" for name in COUNTS)
    said = [f"{run.get('outcome')}, {run.get('stage')}", counts]
    for name in ("wait_reason", "error.code"):
        if value := run.get(name):
            said.append(f"`{value}`")
    if missing := run.span["attributes"].get("gentrace.incomplete"):
        said.append(f"incomplete: {missing}")
    if links := [why for why in ("previous_run", "reopened", "chain") if run.links(why)]:
        said.append(f"linked {links[0]}")
    if run.get("run") != 1:
        said.append(f"run {run.get('run')}")
    times = {state: seconds for state, seconds in run.times.items() if seconds >= 0.0005}
    spent = ", ".join(f"{state} {_seconds(seconds)}" for state, seconds in times.items())
    boundary = "" if verdict.boundary_ms is None else f"{verdict.boundary_ms:.0f} ms"
    share = run.times[State.UNEXPLAINED] / run.duration_s if run.duration_s else 0
    return [
        label,
        case.scenario,
        ", ".join(said),
        f"{_seconds(run.duration_s)}: {spent}",
        boundary,
        verdict.render or "–",
        f"{share:.1%}",
        problems,
    ]


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
