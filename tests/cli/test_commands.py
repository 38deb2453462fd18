"""The commands as one runs them: output, JSON, exit codes, and faults without a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core import traces

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def gentrace(tmp_path: Path) -> Run:
    """Runs the command with a spool of its own, as a pipe sees it."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GENTRACE", "OTEL_"))}
        kept.pop("COLUMNS", None)
        return subprocess.run(
            [sys.executable, "-c", "from gentrace.cli import main; main()", *arguments],
            env={**kept, "GENTRACE_SPOOL": str(tmp_path / "spool"), "PYTHONPATH": str(ROOT),
                 "TZ": "UTC", **env},
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    return run


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    return traces.write(
        tmp_path / "spool" / "spans-a.jsonl",
        traces.completed(), traces.failed(), traces.unfinished(), traces.refused(),
        traces.returned(),
    )  # fmt: skip


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def fault(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.usefixtures("filled")
def test_list_for_programs(gentrace: Run) -> None:
    found = answer(gentrace("list", "--json"))
    assert found["truncated"] is False
    rows = {row["id"]: row for row in found["generations"] if row["id"]}
    assert rows.keys() == {"28", "29", "30"}
    done = rows["28"]
    assert {k: done[k] for k in ("run", "outcome", "started_at", "duration_s", "operation")} == {
        "run": 1, "outcome": "completed", "started_at": "2026-06-21T00:00:00.000000Z",
        "duration_s": 7.932, "operation": "text_to_video",
    }  # fmt: skip
    assert (done["provider"], done["model"], done["trace_id"]) == (
        "pixverse", "v5", traces.trace_id("28"),
    )  # fmt: skip
    assert len(done["times"]) == 10
    assert sum(done["times"].values()) == pytest.approx(done["duration_s"], abs=1e-9)
    assert (rows["30"]["outcome"], rows["30"]["duration_s"]) == (None, None)
    unnamed = [row for row in found["generations"] if row["id"] is None]
    assert {row["returned_id"] for row in unnamed} == {None, "28"}


@pytest.mark.usefixtures("filled")
def test_list_for_people_and_its_filters(gentrace: Run) -> None:
    done = gentrace("list", "--outcome", "failed", NO_COLOR="1")
    assert done.returncode == 0
    assert "content_prompt_rejected" in done.stdout
    assert "\x1b[" not in done.stdout
    one = answer(gentrace("list", "--json", "--limit", "1"))
    assert (len(one["generations"]), one["truncated"]) == (1, True)
    where = answer(gentrace("list", "--json", "--where", "generation.provider.job_id=4711"))
    assert [row["id"] for row in where["generations"]] == ["28"]
    none = gentrace("list", "--provider", "nobody")
    assert (none.returncode, none.stdout) == (0, "")
    assert "no generation" in none.stderr


@pytest.mark.usefixtures("filled")
def test_show_for_programs(gentrace: Run) -> None:
    found = answer(gentrace("show", "28", "--json"))
    assert found["generation"]["id"] == "28"
    (run,) = found["runs"]
    assert len(run["spans"]) == len(traces.completed().spans)
    assert (run["trace_id"], run["times"]["provider_run_s"]) == (traces.trace_id("28"), 6.919)
    span = next(s for s in run["spans"] if s["name"] == "provider.execute")
    assert span["attributes"]["generation.provider.job_id"] == "4711"
    assert (span["offset_s"], span["duration_s"], span["kind"]) == (0.664, 0.051, "INTERNAL")


@pytest.mark.usefixtures("filled")
def test_show_for_people(gentrace: Run) -> None:
    for asked in ("29", traces.trace_id("29"), traces.trace_id("29")[:8], ""):
        done = gentrace("show", *filter(None, [asked]))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("generation 29  failed  880 ms\n")
    assert "no run span is there" in gentrace("show", "28", "--all").stdout
    assert max(map(len, gentrace("show", "28", COLUMNS="80").stdout.splitlines())) <= 80


def test_an_empty_spool_tells_how_to_switch_on(gentrace: Run) -> None:
    done = gentrace("list", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"generations": [], "truncated": False}
    assert "GENTRACE=1" in done.stderr
    assert "GENTRACE=1" in gentrace("list").stdout
    assert "GENTRACE=1" in fault(gentrace("show"), 4)


def test_an_empty_spool_while_spans_go_elsewhere(gentrace: Run) -> None:
    for command in (["list"], ["show", "28"], ["show", "28", "--json"]):
        said = fault(gentrace(*command, OTEL_EXPORTER_OTLP_ENDPOINT="http://here:4318"), 3)
        assert "--source http://here:16686" in said
        assert "--source FILE" in said
        assert "no generation" not in said


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "31"], 4, "no generation '31'"),
        (["show", "f" * 32], 4, "no generation or trace"),
        (["show", "asset:13"], 2, "cannot be looked up"),
        (["show", "28", "--source", "nowhere"], 3, "nowhere"),
        (["list", "--source", "http://127.0.0.1:1"], 3, "cannot be reached"),
        (["list", "--source", "ftp://127.0.0.1"], 3, "was expected"),
        (["list", "--source", "http://127.0.0.1:1", "--header", "secret"], 2, "NAME=VALUE"),
        (["list", "--since", "soon"], 2, "--since"),
        (["list", "--where", "x"], 2, "NAME=VALUE"),
        (["list", "--limit", "-1"], 2, "--limit"),
        (["doctor", "--host", "nowhere"], 2, "nowhere"),
        (["doctor", "--host", ".", "--profile", "nobody"], 2, "no such profile"),
        (["doctor", "--source", "nowhere"], 3, "nowhere"),
        (["lst"], 2, "lst"),
    ],
)
def test_faults(gentrace: Run, arguments: list[str], code: int, said: str) -> None:
    assert said in fault(gentrace(*arguments), code)


def test_a_damaged_line_is_said_and_the_rest_answered(gentrace: Run, filled: Path) -> None:
    filled.write_text("damaged\n" + filled.read_text())
    done = gentrace("show", "28", "--json")
    assert (done.returncode, json.loads(done.stdout)["generation"]["id"]) == (0, "28")
    assert done.stderr == f"gentrace: 1 damaged line in {filled}, skipped\n"


def test_doctor_of_a_checkout(gentrace: Run, tmp_path: Path) -> None:
    found = answer(gentrace("doctor", "--host", str(ROOT / "examples/small_host"), "--json"))
    assert found["processes"] == []
    assert found["problems"] == []
    rows = {row["name"]: row for row in found["targets"]}
    assert rows["create_generation"]["state"] == "resolved"
    assert rows["create_generation"]["file"].endswith("creation.py")
    (tmp_path / "host" / "pixsim7" / "backend" / "main").mkdir(parents=True)
    broken = gentrace("doctor", "--host", "host")
    assert broken.returncode == 1
    assert "process_generation (job) is nowhere" in broken.stdout


def test_doctor_of_the_processes(gentrace: Run, tmp_path: Path) -> None:
    nothing = gentrace("doctor", "--json")
    assert nothing.returncode == 1
    assert json.loads(nothing.stdout)["problems"][0]["code"] == "nothing_seen"
    target = {"name": "create_generation", "role": "create", "state": "patched", "file": "x.py"}
    records = [
        {"gentraceProcess": {"instance": role, "role": role, "pid": os.getpid(), "python": "p",
                             "last_seen": "2026-06-21T00:00:00Z", "targets": [target]}}
        for role in ("api", "worker")
    ]  # fmt: skip
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "processes-a.jsonl").write_text(
        "".join(json.dumps(record) + "\n" for record in records)
    )
    found = answer(gentrace("doctor", "--json"))
    assert [p["role"] for p in found["processes"]] == ["api", "worker"]
    assert all(p["alive"] for p in found["processes"])
    assert found["targets"] == [target]
    assert gentrace("doctor").returncode == 0


def test_version_and_help(gentrace: Run) -> None:
    from gentrace import __version__

    assert gentrace("--version").stdout == f"gentrace {__version__}\n"
    for command in ([], ["list"], ["show"], ["doctor"]):
        done = gentrace(*command, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout or "usage" in done.stdout


def test_without_the_reading_side_one_line_says_how_to_get_it(
    gentrace: Run, tmp_path: Path
) -> None:
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "typer.py").write_text("raise ImportError('not installed')\n")
    blocked = f"{tmp_path / 'block'}{os.pathsep}{ROOT}"
    assert "gentrace[cli]" in fault(gentrace("list", PYTHONPATH=blocked), 2)
    assert gentrace("--version", PYTHONPATH=blocked).returncode == 0
    assert gentrace("exec", "--", sys.executable, "-c", "", PYTHONPATH=blocked).returncode == 0


@pytest.mark.usefixtures("filled")
def test_list_knows_the_outcomes_that_it_prints_itself(gentrace: Run) -> None:
    every = answer(gentrace("list", "--json"))["generations"]
    for outcome, printed in (("refused", "refused"), ("returned", "returned")):
        done = gentrace("list", "--outcome", outcome)
        assert (done.returncode, done.stderr) == (0, "")
        assert printed in done.stdout
    assert sum(row["id"] is None for row in every) == 2
    said = gentrace("list", "--outcome", "faild").stderr
    assert "faild; was failed meant?" in said


@pytest.mark.usefixtures("filled")
def test_list_takes_short_names_and_a_window(gentrace: Run) -> None:
    every = answer(gentrace("list", "--json"))["generations"]
    account = answer(gentrace("list", "--json", "--account", "1"))["generations"]
    short = answer(gentrace("list", "--json", "--where", "account=1"))["generations"]
    assert short == account != []
    begun = every[0]["started_at"]
    for until, found in ((begun, every), ("2026-06-20", [])):
        assert answer(gentrace("list", "--json", "--until", until))["generations"] == found
    said = fault(gentrace("list", "--since", "1h", "--until", "2h"), 2)
    assert "no run starts in between" in said
