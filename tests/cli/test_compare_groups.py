"""`compare` of groups, `slow` and `failing` as one runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gentrace.core import names
from tests.analysis.compare import planted
from tests.core import traces
from tests.core.traces import Tracer

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def gentrace(tmp_path: Path) -> Run:
    """Runs the command with a spool and a cache of its own, as a pipe sees it."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GENTRACE", "OTEL_"))}
        return subprocess.run(
            [sys.executable, "-c", "from gentrace.cli import main; main()", *arguments],
            env={**kept, "GENTRACE_SPOOL": str(tmp_path / "spool"), "PYTHONPATH": str(ROOT),
                 "TZ": "UTC", "XDG_CACHE_HOME": str(tmp_path / "cache")},
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    return run


def spans_of(made: planted.Draw) -> list[Tracer]:
    """The runs as spans: their creation, and where they ended their run span."""
    tracers: list[Tracer] = []
    for row in planted.rows(made):
        tracer = Tracer(row.trace_id, row.id, row.start_ns)
        tracer.trace_id = row.trace_id
        kind: dict[str, Any] = {
            "generation__operation": row.operation,
            "generation__provider": row.provider,
            "generation__model": row.model,
        }
        tracer.span(names.CREATE_GENERATION, 0, 10, service="api", **kind)
        if row.duration_s is not None:
            told: dict[str, Any] = {n.replace(".", "__"): v for n, v in row.attributes.items()}
            told[names.PROCESSES.replace(".", "__")] = row.attributes[names.PROCESSES].split(",")
            told |= {f"generation__time__{t}_s": s for t, s in row.times.items()} | kind
            if row.error_code:
                told["generation__error__code"] = row.error_code
            tracer.span(
                names.RUN, 0, row.duration_s * 1000, error=row.error_type or "",
                generation__outcome=row.outcome, generation__stage=row.stage, **told,
            )  # fmt: skip
        tracers.append(tracer)
    return tracers


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slow account with unfinished runs, and a model with an error of its own."""
    made = planted.draw(103)
    planted.model_error(made)
    planted.unfinished(made)
    folder = tmp_path_factory.mktemp("files")
    with (folder / "spans.jsonl").open("w") as out:
        for tracer in spans_of(made):
            out.write(json.dumps(traces.request(*tracer.spans), separators=(",", ":")) + "\n")
    return folder


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_slow_for_programs(gentrace: Run, scenario: Path) -> None:
    told = answer(gentrace("compare", "slow", "--json", "--source", str(scenario)))
    assert told.keys() >= {"groups", "findings", "times", "not_enough_data"}
    assert "fingerprints" not in told
    assert told["groups"]["slow"]["n"] + told["groups"]["rest"]["n"] == 400
    assert told["groups"]["slow"]["unfinished"] > 0
    first = told["findings"][0]
    assert first.keys() >= {
        "kind", "name", "value", "time", "effect", "interval", "p_adjusted", "exemplars",
    }  # fmt: skip
    assert (first["kind"], first["name"], first["value"]) == ("attribute", names.ACCOUNT_ID, "77")
    assert first["interval"][0] <= first["effect"] <= first["interval"][1]
    assert all(name.endswith("_s") for name in told["times"])


def test_failing_for_programs(gentrace: Run, scenario: Path) -> None:
    told = answer(gentrace("failing", "--json", "--source", str(scenario)))
    (print_,) = (f for f in told["fingerprints"] if f["error_code"] == "model_unavailable")
    assert print_.keys() >= {
        "fingerprint", "n", "share", "stage", "exemplars", "nearest_success",
    }  # fmt: skip
    assert print_["nearest_success"]["trace_id"]
    assert print_["first_seen"] < print_["last_seen"]
    first = told["findings"][0]
    assert (first["kind"], first["name"]) == ("attribute", names.MODEL)
    assert "model_unavailable" in first["fingerprint"]


def test_two_groups(gentrace: Run, scenario: Path) -> None:
    asked = ("compare", "--where", "account=77", "--json", "--source", str(scenario))
    told = answer(gentrace(*asked))
    assert [group["label"] for group in told["groups"].values()] == ["account=77", "all others"]
    assert told["findings"][0]["kind"] == "time"
    told = answer(gentrace(*asked, "--vs", "account=nobody's"))
    assert told["findings"] == []
    assert told["not_enough_data"] == ["account=nobody's: 0 runs, 8 are needed"]


def test_what_could_not_be_asked_and_what_failed_more(gentrace: Run, scenario: Path) -> None:
    source = ("--source", str(scenario))
    done = gentrace("compare", "--where", "account=nobody's", *source)
    assert "nothing could be asked: account=nobody's: 0 runs, 8 are needed" in done.stdout
    assert "chance" not in done.stdout
    told = answer(gentrace("compare", "--where", "account=nobody's", "--json", *source))
    assert {each["a_s"] for each in told["times"].values()} == {None}
    model = told_of(gentrace("failing", "--json", *source))
    told = answer(gentrace("compare", "--where", f"model={model}", "--json", *source))
    errors = [each for each in told["findings"] if each["kind"] == "error"]
    assert "model_unavailable" in errors[0]["value"]
    assert f"{names.MODEL}={model}" in errors[0]["also"]
    assert (errors[0]["unit"], errors[0]["at_least"]) == ("share", False)


def told_of(done: subprocess.CompletedProcess[str]) -> str:
    """The value of the first finding."""
    return str(answer(done)["findings"][0]["value"])


def test_an_empty_window(gentrace: Run, scenario: Path) -> None:
    told = answer(gentrace("slow", "--since", "2100-01-01", "--json", "--source", str(scenario)))
    assert told["groups"]["slow"]["n"] == 0
    assert told["findings"] == []
    assert told["not_enough_data"]


def test_for_people(gentrace: Run, scenario: Path) -> None:
    done = gentrace("slow", "--source", str(scenario))
    assert done.returncode == 0
    assert "generation.account.id = 77" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "compare what?"),
        (("slow", "--vs", "account=1"), "takes no --vs"),
        (("--where", "nonsense"), "NAME=VALUE"),
        (("7", "8", "--where", "account=1"), "two generations take no"),
        (("slow", "--new-since", "r2"), "belongs to"),
        (("slow", "--since", "whenever"), "whenever"),
    ],
)
def test_wrong_use(gentrace: Run, scenario: Path, arguments: tuple[str, ...], told: str) -> None:
    done = gentrace("compare", *arguments, "--source", str(scenario))
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_was_traced_yet(gentrace: Run) -> None:
    done = gentrace("slow")
    assert done.returncode == 3
    assert "nothing has been traced yet" in done.stderr
