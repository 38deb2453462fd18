"""The commands answer the same from a Jaeger, from the spool and from the Collector's file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import _or_skip
from tests.core import traces
from tests.support import jaegers
from tests.support.otlp_receiver import PATH
from tests.support.recording import recorder
from tools import servers

ROOT = Path(__file__).parents[2]
NOW = time.time_ns() // 10**9 * 10**9
MINUTE = 60 * 10**9
KINDS = ("jaeger", "spool", "collector")


@dataclass(frozen=True)
class Stored:
    """The same spans in three places, by the source's kind."""

    places: dict[str, str]
    made: list[traces.Tracer]


def behind(made: traces.Tracer) -> traces.Tracer:
    """The worker's clock is two seconds behind the API's."""
    by_ns = 2 * 10**9
    made.spans = [
        replace(span, start_ns=span.start_ns - by_ns, end_ns=span.end_ns - by_ns)
        if span.service.endswith("worker")
        else span
        for span in made.spans
    ]
    return made


@pytest.fixture(scope="module")
def stored(
    tmp_path_factory: pytest.TempPathFactory, anything_failed: Callable[[], bool]
) -> Generator[Stored]:
    """Sent once: a Jaeger of its own takes it, the Collector's file is what went by."""
    folder = tmp_path_factory.mktemp("three")
    made = [
        traces.completed(start_ns=NOW - 9 * MINUTE),
        traces.failed(start_ns=NOW - 8 * MINUTE),
        traces.unfinished(start_ns=NOW - 7 * MINUTE),
        traces.refused(start_ns=NOW - 6 * MINUTE),
        traces.returned(start_ns=NOW - 5 * MINUTE),
        traces.completed("again", "29", NOW - 4 * MINUTE),
        behind(traces.completed("behind", "40", NOW - 3 * MINUTE)),
    ]
    traces.write(folder / "spool" / "spans-a.jsonl", *made[:4])
    traces.write(folder / "spool" / "spans-b.jsonl", *made[4:])
    file = folder / "traces.jsonl"
    with _or_skip(), servers.jaeger(anything_failed) as jaeger:
        with recorder(jaeger.otlp_http, file) as through:
            for one in made:
                body = jaegers.as_protobuf(one.spans)
                httpx.post(
                    through.http_endpoint + PATH, content=body, trust_env=False
                ).raise_for_status()
        jaegers.wait_for(jaeger.url, [span for one in made for span in one.spans])
        places = {"jaeger": jaeger.url, "spool": str(folder / "spool"), "collector": str(file)}
        yield Stored(places, made)


@pytest.fixture
def gentrace(stored: Stored, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Runs a command on one of the sources; exit code, output, what was said beside it."""

    def run(kind: str, *arguments: str, **env: str) -> tuple[int, str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GENTRACE", "OTEL_"))}
        done = subprocess.run(
            [sys.executable, "-c", "from gentrace.cli import main; main()", *arguments,
             "--source", stored.places[kind]],
            env={**kept, "PYTHONPATH": str(ROOT), "TZ": "UTC", "NO_PROXY": "127.0.0.1", **env},
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def plain(answer: Any) -> Any:
    """Without links into Jaeger, and without what Jaeger 1 does not keep: links' attributes."""
    if isinstance(answer, list):
        return [plain(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    of_groups = "question" in answer  # these say in their notes how far a Jaeger was searched
    left_out = {"link", "notes"} if of_groups else {"link"}
    kept = {k: plain(v) for k, v in answer.items() if k not in left_out}
    if isinstance(kept.get("links"), dict):
        del kept["links"]
    if kept.keys() == {"trace_id", "span_id", "attributes"}:
        del kept["attributes"]
    return kept


QUESTIONS = [
    ["list"],
    ["list", "--outcome", "failed"],
    ["list", "--outcome", "unfinished"],
    ["list", "--provider", "pixverse", "--limit", "1"],
    ["list", "--user", "3", "--since", "1d"],
    ["list", "--error", "content*"],
    ["list", "--where", "generation.provider.job_id=4711"],
    ["list", "--model", "nothing"],
    ["show"],
    ["show", "28"],
    ["show", "29"],
    ["show", "30"],
    ["show", traces.trace_id("29")],
    ["show", traces.trace_id("returned")[:10]],
    ["show", "provider:4711"],
    ["show", "job:gen:28"],
    ["show", "40"],
    ["compare", "28", "29"],
    ["compare", "28", "40"],
    ["compare", "29"],
    ["slow"],
    ["failing", "--since", "1d"],
    ["compare", "--where", "model=v5", "--vs", "model=v5.5"],
]
FAULTS = [
    (["show", "31"], 4, "no generation '31' in"),
    (["show", "f" * 32], 4, "no generation or trace"),
    (["show", "f" * 9], 4, "no generation or trace"),
    (["show", "provider:none"], 4, "no provider job"),
    (["show", "asset:13"], 2, "cannot be looked up"),
    (["compare", "28", "31"], 4, "no generation '31' in"),
    (["compare", "28"], 2, "one run only"),
    (["slow", "--since", "1h", "--until", "2h"], 2, "is after until 2h"),
]


@pytest.mark.service("jaeger")
@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_the_same_answers(
    gentrace: Callable[..., tuple[int, str, str]], question: list[str]
) -> None:
    answers: dict[str, Any] = {}
    for kind in KINDS:
        code, output, _said = gentrace(kind, *question, "--json")
        assert code == 0, kind
        answers[kind] = plain(json.loads(output))
    assert answers["jaeger"] == answers["spool"]
    assert answers["collector"] == answers["spool"]
    assert answers["spool"].get("generations", answers["spool"]) or question[-1] == "nothing"


@pytest.mark.service("jaeger")
@pytest.mark.parametrize(("question", "code", "said"), FAULTS, ids=lambda p: str(p)[:30])
def test_the_same_faults(
    gentrace: Callable[..., tuple[int, str, str]], question: list[str], code: int, said: str
) -> None:
    for kind in KINDS:
        got, output, beside = gentrace(kind, *question)
        assert (got, output) == (code, "")
        assert said in beside


@pytest.mark.service("jaeger")
def test_links_into_jaegers_page(
    gentrace: Callable[..., tuple[int, str, str]], stored: Stored
) -> None:
    url = stored.places["jaeger"]
    for kind, env, base in (
        ("jaeger", {}, url),
        ("jaeger", {"GENTRACE_JAEGER_URL": "https://traces.example/jaeger/"}, None),
        ("spool", {"GENTRACE_JAEGER_URL": url}, url),
    ):
        base = base or "https://traces.example/jaeger"
        shown = json.loads(gentrace(kind, "show", "28", "--json", **env)[1])
        assert shown["generation"]["link"] == f"{base}/trace/{traces.trace_id('28')}"
        assert shown["links"]["left_out"] == 0
        assert shown["links"]["search"][0].startswith(f"{base}/search?service=pixsim7-")
        for width in (80, 120):
            _, text, _ = gentrace(kind, "show", "28", COLUMNS=str(width), **env)
            assert f"\n{base}/trace/{traces.trace_id('28')}\n" in text
            _, text, _ = gentrace(kind, "list", "--outcome", "failed", COLUMNS=str(width), **env)
            (line,) = [line for line in text.splitlines() if "/search?" in line]
            assert line.startswith(f"{base}/search?service=pixsim7-")
    assert "link" not in json.loads(gentrace("spool", "show", "28", "--json")[1])["generation"]


@pytest.mark.service("jaeger")
def test_a_search_link_finds_the_same_in_jaeger(
    gentrace: Callable[..., tuple[int, str, str]], stored: Stored
) -> None:
    """The page hands its address on to the API as it is."""
    for question in (["list", "--outcome", "failed"], ["list", "--user", "3"], ["show", "29"]):
        answer = json.loads(gentrace("jaeger", *question, "--json")[1])
        runs = answer.get("generations") or answer["runs"]
        found: set[str] = set()
        for link in answer["links"]["search"]:
            asked = link.replace("/search?", "/api/traces?")
            data = httpx.get(asked, trust_env=False).json()["data"]
            found |= {trace["traceID"] for trace in data}
        assert found == {run["trace_id"] for run in runs}
        assert answer["links"]["left_out"] == 0
