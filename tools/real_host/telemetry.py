"""Scenarios of a host with an OpenTelemetry of its own: it keeps its spans and its headers.

The same is asked of it without gentrace, and then with it for each row of README's table ("Where
spans go") that a provider of the SDK's can be in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e import reading
from tests.support.otlp_receiver import OtlpReceiver, Span, receiver
from tools.real_host.day import Case, Day, Scenario
from tools.real_host.host import wait_until

STARTER = Path(__file__).with_name("traced_start.py")
OURS, SERVICE = "gentrace", "the-hosts-own"
WRITTEN_S = 90.0
TRACE_HEADERS = frozenset({"traceparent", "tracestate", "baggage"})
_NUMBER = re.compile(r"\d+")
Asked = tuple[str, str, frozenset[str]]


@dataclass
class Seen:
    """What came of the same requests in one way of setting up.

    Attributes:
        spans: what the host's provider sent.
        headers: method, path without its numbers and header names of each request at the provider.
    """

    spans: list[Span] = field(default_factory=list[Span])
    headers: set[Asked] = field(default_factory=set["Asked"])
    cases: list[Case] = field(default_factory=list[Case])

    def own(self) -> set[tuple[str, str, str]]:
        """Scope, name and kind of each span that gentrace did not make."""
        return {
            (span["scope"], _NUMBER.sub("#", span["name"]), span["kind"])
            for span in self.spans
            if not span["scope"].startswith(OURS)
        }


def own_telemetry(day: Day) -> None:
    """Without gentrace; its provider elsewhere, at the same address, and asked for both."""
    problems: list[str] = []
    with receiver() as there, _host_to_itself(day):
        plain = _see(day, there, "without gentrace", {"GENTRACE": "0"})
        beside = _see(day, there, "own OpenTelemetry, sent elsewhere", {})
        same = _see(day, there, "own OpenTelemetry, same address", _named(there))
        both = _see(day, there, "own OpenTelemetry, asked for both", {"GENTRACE_PROVIDER": "both"})
    for way, seen in (("elsewhere", beside), ("same", same), ("both", both)):
        if lost := plain.own() - seen.own():
            problems.append(f"{way}: the host has no more {sorted(lost)}")
        if more := seen.own() - plain.own():
            problems.append(f"{way}: the host has {sorted(more)} besides")
        if seen.headers != plain.headers:
            apart = sorted((m, p, sorted(h)) for m, p, h in seen.headers ^ plain.headers)
            problems.append(f"{way}: other headers: {apart}")
    problems += [f"elsewhere: {each}" for each in _apart(day, beside)]
    problems += [f"same: {each}" for each in _together(day, same)]
    problems += [f"both: {each}" for each in _twice(day, both)]
    if problems:
        raise RuntimeError("; ".join(problems))
    own, kept = len(plain.own()), len(plain.headers)
    day.remarks.append(f"own OpenTelemetry: {own} kinds of its spans and {kept} of requests kept")


def _named(there: OtlpReceiver) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": there.http_endpoint}


@contextmanager
def _host_to_itself(day: Day) -> Generator[None]:
    """No process of the host runs but for what the block starts; afterwards it is as before."""
    day.host.stop_workers()
    day.host.stop_apis()
    try:
        yield
    finally:
        day.host.stop_workers()
        day.host.stop_apis()
        day.host.start_api()
        day.host.start_workers(2)


def _see(day: Day, there: OtlpReceiver, way: str, env: Mapping[str, str]) -> Seen:
    """The host started in that way, asked for a success, a refusal and a 502, and stopped."""
    there.clear()
    before = _requests(day.host.requests)
    given = {**day.host.traced, "HOSTS_OTLP": f"{there.http_endpoint}/v1/traces", **env}
    given["HOSTS_SERVICE"] = SERVICE
    given["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    seen, traced = Seen(), given["GENTRACE"] == "1"
    day.host.start_api(given, [str(STARTER)])
    day.host.start_workers(1, given, [str(STARTER)])
    first = len(day.cases)
    day.ask(way, outcome="completed", attempts=1)
    day.ask(f"{way}, refused", "BADPROMPT", outcome="failed", attempts=1)
    gateway = day.ask(f"{way}, HTTP 502", "BOOM", outcome="failed", attempts=1)
    # the host has the client's spans: known where the client's error carries the status
    if day.modern:
        gateway.expected["error.http_status"] = (502,)
    seen.cases = day.cases[first:]
    day.host.wait_final([case.generation_id for case in seen.cases], 120)
    if "OTEL_EXPORTER_OTLP_ENDPOINT" in env:
        ids = [case.generation_id for case in seen.cases]
        there.wait_for(reading.complete(ids, {"generation"}), WRITTEN_S)
    elif traced:
        wait_until(lambda: day.written(seen.cases, 1), f"{way}: written", WRITTEN_S)
    day.host.stop_workers()
    day.host.stop_apis()
    seen.spans = there.spans()
    for case in seen.cases:
        case.asked_s = None  # the first request of a process takes it seconds
        case.received = seen.spans if "OTEL_EXPORTER_OTLP_ENDPOINT" in env else None
    if not traced:
        del day.cases[first:]
    made = _requests(day.host.requests)[len(before) :]
    day.hosts_headers += sum(bool(names & TRACE_HEADERS) for _, _, names in made)
    seen.headers = set(made)
    return seen


def _requests(log: Path) -> list[Asked]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    told = [json.loads(line) for line in lines]
    return [(t["method"], _NUMBER.sub("#", t["path"]), frozenset(t["headers"])) for t in told]


def _apart(day: Day, seen: Seen) -> list[str]:
    """Nothing of ours in the host's provider, no trace in both."""
    found = [f"{s['name']} in the host's provider" for s in seen.spans if _is_ours(s)]
    traces = {s["trace_id"] for s in _spooled(day, seen)}
    if shared := traces & set(reading.by_trace(seen.spans)):
        found.append(f"{len(shared)} traces are in both places")
    return found


def _together(day: Day, seen: Seen) -> list[str]:
    """Each of ours in the host's provider, once, under its name; none in the spool."""
    found = [f"{s['name']} in the spool" for s in _spooled(day, seen)]
    ids = [span["span_id"] for span in seen.spans]
    if len(ids) != len(set(ids)):
        found.append(f"{len(ids) - len(set(ids))} spans came twice")
    if reading.services(seen.spans) != {SERVICE}:
        found.append(f"services {sorted(reading.services(seen.spans))}")
    return found


def _twice(day: Day, seen: Seen) -> list[str]:
    """Each of ours once in either place."""
    ids = {case.generation_id for case in seen.cases}
    here = sorted(span["span_id"] for span in _spooled(day, seen) if _is_ours(span))
    traces = {t for i in ids for t in reading.trace_ids(seen.spans).get(i, ())}
    there = sorted(s["span_id"] for s in seen.spans if _is_ours(s) and s["trace_id"] in traces)
    return [] if here == there else [f"{len(here)} of ours in the spool, {len(there)} there"]


def _spooled(day: Day, seen: Seen) -> list[Span]:
    spans = reading.spooled(day.host.spool)
    known = reading.trace_ids(spans)
    traces = {trace for case in seen.cases for trace in known.get(case.generation_id, ())}
    return [span for span in spans if span["trace_id"] in traces]


def _is_ours(span: Span) -> bool:
    return span["scope"].startswith(OURS)


TELEMETRY: dict[str, Scenario] = {"own_telemetry": own_telemetry}
