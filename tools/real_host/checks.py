"""Holds what gentrace wrote against what the database and the stand-in saw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gentrace.core.run.times import State
from tests.e2e import reading, run_reading
from tests.e2e.run_reading import RunSpan
from tests.support.otlp_receiver import Span
from tools.real_host.database import Seen
from tools.real_host.day import Case

FINAL = frozenset({"completed", "failed", "cancelled"})
APART_MS, BUSY_APART_MS = 50.0, 500.0
"""How far two clocks on one event may be apart; a busy worker hears of its own commit late."""
SHARE, AT_MOST_S = 0.02, 0.05
SLACK_S = 0.02


@dataclass(frozen=True)
class Rendered:
    """A job as the stand-in logged it."""

    prompt: str
    answered_s: float
    over_s: float | None


@dataclass
class Verdict:
    """One run as a row of the table.

    Attributes:
        problems: what is not as it should be; empty when all is well.
    """

    generation_id: str
    run: RunSpan | None
    trace_id: str = ""
    boundary_ms: float | None = None
    render: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Evidence:
    """Everything that was seen in one day of the host.

    Attributes:
        poll_s: the longest that the poller lets pass between two looks at a render.
    """

    spans: list[Span]
    statuses: dict[str, list[Seen]]
    rendered: list[Rendered]
    poll_s: float


def rendered(log: Path) -> list[Rendered]:
    """The jobs that the stand-in took."""
    if not log.exists():
        return []
    told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [Rendered(t["prompt"], t["answered"], t["over"]) for t in told if "job" in t]


def judge(evidence: Evidence, case: Case) -> list[Verdict]:
    """Every run of one generation, each with its problems."""
    generation_id, runs = case.generation_id, case.runs
    traces = reading.by_trace(evidence.spans)
    ids = sorted(reading.trace_ids(evidence.spans).get(generation_id, set()))
    seen = evidence.statuses.get(generation_id, [])
    found = run_reading.run_spans(evidence.spans).get(generation_id, [])
    problems = [] if len(ids) == max(runs, 1) else [f"{len(ids)} traces: {' '.join(ids)}"]
    if len(found) != runs:
        problems.append(f"{len(found)} run spans in place of {runs}")
    duplicates = _written_twice(evidence.spans, generation_id, len(found))
    if duplicates and not case.killed:  # a killed process's lease is taken by another
        problems.append(duplicates)
    for trace_id in ids:
        problems += [f"{each} ({trace_id})" for each in _shape(traces[trace_id], generation_id)]
    if not found:
        members = [span for trace_id in ids for span in traces[trace_id]]
        died = [s["name"] for s in members if s["attributes"].get("error.type") == "worker_died"]
        if case.killed and not died and not case.busy:
            problems.append("no span was written in the dead worker's place")
        told = f"worker_died: {', '.join(died)}" if died else ""
        return [Verdict(generation_id, None, " ".join(ids), render=told, problems=problems)]
    verdicts = [Verdict(generation_id, run, run.span["trace_id"]) for run in found]
    verdicts[0].problems += problems
    if case.requested and not _is_rooted_in_request(found[0].trace):
        verdicts[0].problems.append("its root is no SERVER span")
    for number, verdict in enumerate(verdicts):
        last = number == len(verdicts) - 1
        _boundaries(verdict, case, seen, first=number == 0, last=last)
        _times(verdict, case)
        _renders(verdict, case, evidence)
    return verdicts


def _shape(trace: Sequence[Span], generation_id: str) -> list[str]:
    """One root, no missing parent, no span of another generation."""
    problems: list[str] = []
    if len(roots := reading.roots(trace)) != 1:
        problems.append(f"{len(roots)} roots: {[span['name'] for span in roots]}")
    if orphans := reading.orphans(trace):
        problems.append(f"missing parents of {orphans}")
    others = {str(span["attributes"].get("generation.id", generation_id)) for span in trace}
    if others != {generation_id}:
        problems.append(f"spans of generations {sorted(others - {generation_id})}")
    return problems


def _is_rooted_in_request(trace: Sequence[Span]) -> bool:
    return [span["kind"] for span in reading.roots(trace)] == ["SERVER"]


def _written_twice(spans: Iterable[Span], generation_id: str, runs: int) -> str:
    written = [
        span["span_id"]
        for span in spans
        if span["name"] == "generation" and span["attributes"]["generation.id"] == generation_id
    ]
    return f"{len(written)} run spans written for {runs} runs" if len(written) != runs else ""


def _boundaries(verdict: Verdict, case: Case, seen: list[Seen], *, first: bool, last: bool) -> None:
    """The run's start, its changes of status and its end, against what others saw of them."""
    run = verdict.run
    if run is None:
        return
    ends = [each for each in seen if each.new in FINAL]
    if not ends:
        verdict.problems.append(f"ended {run.get('outcome')}, the database knows no end")
        return
    end = ends[-1] if last else min(ends, key=lambda each: abs(each.at_s - run.end_s))
    apart = {"end": abs(end.at_s - run.end_s)}
    if end.new != run.get("outcome"):
        verdict.problems.append(f"outcome {run.get('outcome')}, the database says {end.new}")
    if first and case.asked_s is not None:
        apart["start"] = abs(run.span["start_ns"] / 1e9 - case.asked_s)
    told = list(_status_events(run.trace))
    start_s = run.span["start_ns"] / 1e9
    for each in seen:
        if each.old is None or not start_s - 1 <= each.at_s <= run.end_s + 1:
            continue
        at = [
            abs(each.at_s - at_s)
            for old, new, at_s in told
            if new == each.new and old in (each.old, "")
        ]
        if at:
            apart[f"{each.old} → {each.new}"] = min(at)
        elif not case.killed:  # events of a span go with its process
            verdict.problems.append(f"no event for {each.old} → {each.new}")
    verdict.boundary_ms = max(apart.values()) * 1000
    most_s = (BUSY_APART_MS if case.busy else APART_MS) / 1000
    far = {what: f"{s * 1000:.0f} ms" for what, s in apart.items() if s > most_s}
    if far:
        verdict.problems.append(f"boundaries apart: {far}")


def _status_events(trace: Iterable[Span]) -> Iterable[tuple[str, str, float]]:
    """Events, and the spans of changes from outside; a bulk UPDATE knows no status before it."""
    for span in trace:
        if span["name"] == "generation.status":
            told = span["attributes"]
            before = str(told.get("generation.status.previous", ""))
            yield before, str(told["generation.status"]), span["end_ns"] / 1e9
        for event in span["events"]:
            if event["name"] == "generation.status":
                told = reading._attributes(event["attributes"])
                before = str(told.get("generation.status.previous", ""))
                at_s = int(event["timeUnixNano"]) / 1e9
                yield before, str(told["generation.status"]), at_s


def _times(verdict: Verdict, case: Case) -> None:
    """The times add up, and next to nothing is unexplained."""
    run = verdict.run
    if run is None:
        return
    times = run.times
    if abs(sum(times.values()) - run.duration_s) > 2e-6 * len(times):
        verdict.problems.append(f"times add up to {sum(times.values())}, not {run.duration_s}")
    allowed = max(SHARE * run.duration_s, AT_MOST_S)
    if times[State.UNEXPLAINED] > allowed and not case.killed:
        verdict.problems.append(f"unexplained {times[State.UNEXPLAINED]:.2f} s")


def _renders(verdict: Verdict, case: Case, evidence: Evidence) -> None:
    """The waits for the provider, against its own log."""
    run = verdict.run
    if run is None:
        return
    waits = run.named("provider.wait")
    executes = {span["span_id"]: span for span in run.named("provider.execute")}
    told: list[str] = []
    for job in [each for each in evidence.rendered if each.prompt == case.prompt]:
        if not run.span["start_ns"] / 1e9 <= job.answered_s <= run.end_s:
            continue  # another run's
        near = sorted(waits, key=lambda span: abs(span["start_ns"] / 1e9 - job.answered_s))
        if not near:
            if not case.killed:
                verdict.problems.append("the stand-in rendered, and no provider.wait")
            continue
        begin = near[0]["start_ns"] / 1e9 - job.answered_s
        text = f"{begin * 1000:+.0f} ms"
        execute = executes.get(near[0]["parent_span_id"])
        if execute is None:
            verdict.problems.append("a provider.wait that hangs under no provider.execute")
        elif not _between(execute, job.answered_s) or not _follows(near[0], execute):
            verdict.problems.append(f"provider_run begins {begin:+.2f} s from the answer")
        if job.over_s is not None:
            end = near[0]["end_ns"] / 1e9 - job.over_s
            text += f" / {end:+.2f} s"
            finished = run.get("outcome") != "cancelled"
            if not -SLACK_S <= end <= evidence.poll_s and finished and not case.killed:
                verdict.problems.append(f"provider_run ends {end:+.2f} s from the render's end")
        told.append(text)
    verdict.render = ", ".join(told)


def _between(span: Span, at_s: float) -> bool:
    """Whether the provider answered while the submission was under way."""
    return span["start_ns"] / 1e9 - SLACK_S <= at_s <= span["end_ns"] / 1e9 + SLACK_S


def _follows(wait: Span, execute: Span) -> bool:
    """Whether the wait begins when the submission is over: the host may write its rows first."""
    return abs(wait["start_ns"] - execute["end_ns"]) / 1e9 <= SLACK_S
