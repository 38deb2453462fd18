"""Doctor's sources, and what it and ``show`` say of a process's imports and of its code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gentrace.core import names
from tests.cli.conftest import Gentrace
from tests.core import traces
from tests.core.traces import Tracer

TARGET = {"name": "create_generation", "role": "create", "state": "patched", "file": "x.py"}


def records(folder: Path, **told: Any) -> Path:
    """A spool in which an API and a worker say that they run."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"pid": os.getpid(), "last_seen": "2026-06-21T00:00:00Z", "targets": [TARGET], **told}
    made = [{"instance": f"{role}-1", "role": role, **told} for role in ("api", "worker")]
    lines = "".join(json.dumps({"gentraceProcess": record}) + "\n" for record in made)
    (folder / "processes-a.jsonl").write_text(lines)
    return folder


def started(
    role: str, more: Mapping[str, Any] | None = None, start_ns: int = traces.START
) -> Tracer:
    """A process that came up, as its start-up span tells it."""
    t = Tracer(f"{role} {start_ns}", start_ns=start_ns)
    told: dict[str, Any] = {
        names.ROLE: role,
        names.PACKAGE_FILE: "/host/__init__.py",
        names.TARGETS_PATCHED: ["create_generation"],
        names.TARGETS_MISSING: ["select_account"],
        **(more or {}),
    }
    t.span(names.STARTUP, 0, 1, service=role, **told)
    return t


def problems(out: str) -> list[str]:
    return [problem["code"] for problem in json.loads(out)["problems"]]


def test_doctor_reads_what_the_environment_names(ask: Gentrace, tmp_path: Path) -> None:
    elsewhere = records(tmp_path / "elsewhere")
    assert problems(ask("doctor", "--json")[1]) == ["nothing_seen"]
    code, out, _ = ask("doctor", "--json", GENTRACE_SOURCE=str(elsewhere))
    assert (code, problems(out)) == (0, [])
    assert [each["role"] for each in json.loads(out)["processes"]] == ["api", "worker"]
    assert ask("doctor", "--json", "--source", str(elsewhere))[0] == 0
    for name in ("GENTRACE_SOURCE", "--source"):
        given = ["--source", "nowhere"] if name == "--source" else []
        code, out, err = ask("doctor", *given, GENTRACE_SOURCE="nowhere")
        assert (code, out) == (3, "")
        assert f"{name} nowhere: no such file or folder" in err


def test_records_in_the_spool_count_wherever_the_spans_go(ask: Gentrace, tmp_path: Path) -> None:
    records(tmp_path / "spool")
    code, out, _ = ask("doctor", "--json", OTEL_EXPORTER_OTLP_ENDPOINT="http://here:4318")
    assert (code, problems(out)) == (0, [])


def test_a_source_without_records_has_the_start_ups(ask: Gentrace, tmp_path: Path) -> None:
    later = traces.START + 60 * 10**9
    path = traces.write(
        tmp_path / "collector.jsonl", traces.completed(), started("api"), started("worker"),
        started("worker", {names.IMPORT_ERRORS: ["sora: ModuleNotFoundError"]}, later),
    )  # fmt: skip
    code, out, _ = ask("doctor", "--json", "--source", str(path))
    found = json.loads(out)
    assert [(p["role"], p["alive"]) for p in found["processes"]] == [
        ("worker", None),
        ("api", None),
    ]
    assert found["processes"][0]["import_errors"] == ["sora: ModuleNotFoundError"]
    assert {row["name"]: row["state"] for row in found["targets"]} == {
        "create_generation": "patched",
        "select_account": "missing",
    }
    assert (code, problems(out)) == (1, ["import_failed", "target_missing"])
    (left_out,) = found["not_looked_at"]
    assert "still run" in left_out
    assert str(path) in left_out
    text = ask("doctor", "--source", str(path))[1]
    assert "started 2026-06-21T00:01:00Z" in text
    assert "select_account was not found" in text
    assert "not looked at: whether the processes still run" in text


def test_doctor_names_what_cannot_be_imported_and_what_is_stale(
    ask: Gentrace, tmp_path: Path
) -> None:
    records(tmp_path / "spool", import_errors=["sora: ModuleNotFoundError"])
    code, out, _ = ask("doctor", "--json")
    assert (code, problems(out)) == (0, ["import_failed", "import_failed"])
    assert "cannot import sora: ModuleNotFoundError" in ask("doctor")[1]
    records(tmp_path / "spool", stale=["app/orders.py: changed"])
    code, out, _ = ask("doctor", "--json")
    assert (code, problems(out)) == (1, ["code_stale", "code_stale"])
    assert "app/orders.py: changed" in json.loads(out)["problems"][0]["summary"]
    assert json.loads(out)["processes"][0]["stale"] == ["app/orders.py: changed"]


@pytest.mark.parametrize("by", ["record", "start-up span"])
def test_show_names_what_a_process_of_a_failed_run_could_not_import(
    ask: Gentrace, tmp_path: Path, by: str
) -> None:
    errors = ["sora: ModuleNotFoundError"]
    made = [traces.failed(), traces.completed()]
    if by == "record":
        records(tmp_path / "spool", import_errors=errors)
    else:
        made.append(started("worker", {names.IMPORT_ERRORS: errors}))
    traces.write(tmp_path / "spool" / "spans-a.jsonl", *made)
    out = ask("show", "29")[1]
    assert "could not import sora: ModuleNotFoundError" in " ".join(out.split())
    notes = json.loads(ask("show", "29", "--json")[1])["runs"][-1]["notes"]
    assert any("could not import sora: ModuleNotFoundError" in note for note in notes)
    assert "could not import" not in ask("show", "28")[1]


def test_show_says_which_process_ran_stale_code(ask: Gentrace, tmp_path: Path) -> None:
    made = traces.completed()
    for span in made.spans:
        if span.name == names.PROCESS_GENERATION:
            dict.update(span.attributes, {names.CODE_STALE: ["app/orders.py: changed"]})  # pyright: ignore[reportArgumentType]
    traces.write(tmp_path / "spool" / "spans-a.jsonl", made)
    said = "stale code in pixsim7-worker: it ran what was loaded"
    out = " ".join(ask("show", "28")[1].split())
    assert said in out
    assert "app/orders.py: changed" in out
    notes = json.loads(ask("show", "28", "--json")[1])["runs"][-1]["notes"]
    assert any(note.startswith(said) for note in notes)
