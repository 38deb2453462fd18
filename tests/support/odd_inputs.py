"""What the reading commands may be given: files, records, profiles and answers that are odd."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from gentrace.core import names
from gentrace.core.spans import Span
from gentrace.core.switch import PROFILES
from tests.core import traces
from tests.core.traces import MINUTE_NS, START, Tracer
from tests.support import odd_documents

Lines = dict[str, bytes]
"""The files of a spool by their names."""
SERVICES = ("pixsim7-api", "pixsim7-worker", "pixsim7-runs")
_COUNTED = (
    "start", "end", *names.TIMES.values(), names.TRIES, names.ATTEMPTS, names.REQUEUES, names.POLLS,
    names.GENERATION_RUN, names.LATE_EVENTS, names.PROCESSES, names.OUTCOME, names.GENERATION_ID,
    names.MODEL, names.CODE_VERSION, "shop.region",
)  # fmt: skip
"""What is added up, counted with or grouped by."""
_LITERALS = (
    "1", "-1", "0", "1e400", "nan", "-inf", "99999999999999999999999", "true", '""', '"x"', "'[a'",
    '"\\u202e\\u0000"', '".x:y"', '":"', '"a:b:c"', '"="', '"args."', "[]", "{}", "[1, 2]",
    '["", ""]',
    '[["a"], {}]', "{ a = 1 }", "{ id = [] }", '{ id = ["args"] }', "1979-05-27T07:32:00Z",
    "07:32:00", '"""\nx"""', '["args.x", "=y"]', "{ completed = -1.0 }", "[nan]", "{ x = nan }",
)  # fmt: skip


def a_run(number: int) -> Tracer:
    """A creation and a run span; every third failed, every second with another account."""
    tracer = Tracer(f"run-{number}", f"r{number}", START + number * MINUTE_NS)
    kind: dict[str, Any] = {"generation__operation": "x", "generation__model": "v5"}
    tracer.span(names.CREATE_GENERATION, 0, 10, service="api", **kind)
    failed = number % 3 == 0
    queue_s = 0.5 + 30 * (number % 2)
    tracer.span(
        names.RUN, 0, 1_000 * (queue_s + 4 + number / 10), service="runs",
        error="ProviderError" if failed else "",
        generation__outcome="failed" if failed else "completed",
        generation__account__id=str(number % 2 + 1), generation__code__version=f"v{number // 12}",
        generation__time__queue_s=queue_s, generation__time__provider_run_s=4 + number / 10,
        generation__tries=1 + number % 2, generation__stage="provider" if failed else "finished",
        generation__error__code="quota" if failed else "", gentrace__processes=["api-1", "w-1"],
        shop__region="eu" if number % 5 else "us", **kind,
    )  # fmt: skip
    return tracer


@functools.cache
def usual() -> list[Span]:
    """The spans of runs that every question has an answer for, once nothing is odd."""
    made = [traces.completed(), traces.failed(), traces.unfinished(), traces.refused()]
    made += [traces.returned(), *(a_run(number) for number in range(30))]
    return [span for tracer in made for span in tracer.spans]


@functools.cache
def requests() -> list[Any]:
    """The same as export requests, one a span."""
    return [traces.request(span) for span in usual()]


@st.composite
def spools(draw: st.DrawFn) -> Lines:
    """The files of a spool: most of a line is as it should be."""
    lines: list[Any] = [*requests()]
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = draw(odd_documents.changed(lambda at=at: lines[at]))
    if draw(st.integers(0, 3)):
        lines = _everywhere(draw, lines)
    if draw(st.integers(0, 4)) == 0:
        lines = lines[draw(st.integers(0, len(lines))) :]
    text = "".join(odd_documents.written(line) + "\n" for line in lines)
    return {"spans-a.jsonl": draw(odd_documents.damaged(text)), **draw(records())}


def _everywhere(draw: st.DrawFn, lines: Sequence[Any]) -> list[Any]:
    """An attribute of all spans of one name has odd values: one, or one of a few by turns."""
    named = draw(st.sampled_from((names.RUN, names.RUN, names.CREATE_GENERATION, "")))
    attribute = draw(
        st.one_of(st.sampled_from(_COUNTED), st.sampled_from(sorted(names.ATTRIBUTES)))
    )
    odd = draw(st.lists(odd_documents.any_values, min_size=1, max_size=4))
    found: list[Any] = []
    for number, line in enumerate(lines):
        made = traces.request(usual()[number]) if isinstance(line, dict) else line
        if made != line or (named and usual()[number].name != named):
            found.append(line)
            continue
        span: Any = made["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
        value: Any = odd[number % len(odd)]
        if attribute in ("start", "end"):
            span[f"{attribute}TimeUnixNano"] = value
        else:
            kept = [pair for pair in span["attributes"] if pair["key"] != attribute]
            span["attributes"] = [*kept, {"key": attribute, "value": value}]
        found.append(made)
    return found


def record(instance: str, role: str) -> dict[str, Any]:
    """What a process leaves in the spool."""
    return {
        "gentraceProcess": {
            "instance": instance, "role": role, "pid": os.getpid(), "machine": "other",
            "alive": True, "last_seen": "2026-06-21T00:01:00+00:00", "python": "3.11.7",
            "package_file": "/srv/app/__init__.py", "cwd": "/srv", "revision": "abc1234",
            "queue": "arq:queue", "spans_lost": 0, "loop_lag_s": 0.1,
            "libraries": {"httpx": "hooked"},
            "import_errors": ["x: not found"], "stale": ["/srv/app/a.py"],
            "jobs": [{"generation": "28", "since": "2026-06-21T00:00:00+00:00"}],
            "hooks_off": ["create"], "packages": ["arq==0.28"], "profile_faults": [],
            "targets": [{"name": "create", "role": "create", "state": "patched", "file": "a.py"},
                        {"name": "job", "role": "job", "state": "late", "importers": ["x"]}],
        }
    }  # fmt: skip


def records() -> st.SearchStrategy[Lines]:
    """The files of records: none, or two processes' with something odd."""
    both = [record("api-1", "api"), record("worker-1", "worker")]
    odd = odd_documents.changed(lambda: both).map(
        lambda told: {
            "processes-a.jsonl": "".join(
                odd_documents.written(each) + "\n"
                for each in (told if isinstance(told, list) else [told])
            ).encode()
        }
    )
    return st.one_of(st.just(Lines()), odd, odd)


@functools.cache
def shipped() -> tuple[str, ...]:
    """The lines of the shipped profile."""
    with open(os.path.join(PROFILES, "pixsim7.toml"), encoding="utf-8") as file:
        return tuple(file)


@st.composite
def profiles(draw: st.DrawFn) -> bytes:
    """The shipped profile with some lines changed, left out, repeated or put elsewhere."""
    lines = [*shipped()]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(("value", "value", "drop", "twice", "move", "key", "text"))):
            case "value":
                literal = draw(st.sampled_from(_LITERALS))
                lines[at] = re.sub(r"=.*", lambda _, told=literal: f"= {told}", lines[at], count=1)
            case "drop":
                del lines[at : at + draw(st.integers(1, 3))]
                lines = lines or ["\n"]
            case "twice":
                lines.insert(at, lines[at])
            case "move":
                lines.insert(draw(st.integers(0, len(lines))), lines[at])
            case "key":
                key = draw(st.sampled_from(("x", '"\u202e"', "name", "a.b", "extends", "[[x]]\ny")))
                lines[at] = f"{key} = {draw(st.sampled_from(_LITERALS))}\n"
            case _:
                lines[at] = draw(odd_documents.texts) + "\n"
    return draw(odd_documents.damaged("".join(lines)))


def of_v1(spans: Sequence[Span]) -> dict[str, Any]:
    """One trace as Jaeger's own JSON has it."""

    def tags(told: Any) -> list[Any]:
        types = {bool: "bool", int: "int64", float: "float64"}
        return [{"key": key, "type": types.get(type(value), "string"), "value": value}
                for key, value in told.items()]  # fmt: skip

    return {
        "traceID": spans[0].trace_id,
        "processes": {"p1": {"serviceName": spans[0].service, "tags": tags(spans[0].resource)}},
        "spans": [
            {
                "traceID": span.trace_id, "spanID": span.span_id, "operationName": span.name,
                "references": [{"refType": "CHILD_OF", "traceID": span.trace_id,
                                "spanID": span.parent_id}] if span.parent_id else [],
                "startTime": span.start_ns // 1_000, "duration": span.duration_ns // 1_000,
                "processID": "p1", "warnings": None, "tags": tags(span.attributes),
                "logs": [{"timestamp": e.at_ns // 1_000, "fields": tags(e.attributes)}
                         for e in span.events],
            }
            for span in spans
        ],
    }  # fmt: skip


@functools.cache
def _by_trace() -> list[list[Span]]:
    found: dict[str, list[Span]] = {}
    for span in usual():
        found.setdefault(span.trace_id, []).append(span)
    return [*found.values()]


@functools.cache
def _v1_traces() -> dict[str, Any]:
    return {"data": [of_v1(spans) for spans in _by_trace()], "errors": None}


@functools.cache
def _v3_traces() -> dict[str, Any]:
    return {"result": traces.request(*usual())}


@functools.cache
def _answers(v3: bool) -> dict[str, Any]:
    """What a Jaeger answers to each path, by how the path begins."""
    operations = sorted({span.name for span in usual()})
    if v3:
        named = [{"name": name, "spanKind": "internal"} for name in operations]
        return {"/api/v3/services": {"services": [*SERVICES]}, "/api/v3/traces": _v3_traces(),
                "/api/v3/operations": {"operations": named}}  # fmt: skip
    return {
        "/api/services": {"data": [*SERVICES], "total": 3}, "/api/traces": _v1_traces(),
        "/api/services/": {"data": operations},
    }  # fmt: skip


@st.composite
def answers(draw: st.DrawFn) -> dict[str, str]:
    """The bodies of a Jaeger of either API, by how the path begins; one of them is odd."""
    good = _answers(draw(st.booleans()))
    bodies = {path: odd_documents.written(told) for path, told in good.items()}
    path = draw(st.sampled_from([*good, max(good, key=lambda p: len(bodies[p]))]))
    body = draw(odd_documents.changed(lambda: good[path]))
    bodies[path] = draw(odd_documents.damaged(odd_documents.written(body))).decode(
        "utf-8", "replace"
    )
    return bodies
