"""The records of traced processes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from gentrace.sources import processes


def line(**record: object) -> str:
    return json.dumps({"gentraceProcess": record}) + "\n"


def test_the_last_record_of_each_process_counts(tmp_path: Path) -> None:
    (tmp_path / "processes-a.jsonl").write_text(
        line(instance="a", role="", pid=os.getpid(), last_seen="2026-06-21T00:00:00Z")
        + line(instance="a", role="api", pid=os.getpid(), last_seen="2026-06-21T00:01:00Z")
        + "{damaged}\n"
        + '{"gentraceProcess": 5}\n'
        + line(instance="b", role="worker", alive=False, last_seen="2026-06-21T00:02:00Z")
        + '{"gentraceProcess": {"instance": "c"'
    )
    (tmp_path / "spans-a.jsonl").write_text(line(instance="d"))
    found = processes.read(tmp_path)
    assert [(p.text("instance"), p.text("role"), p.alive) for p in found] == [
        ("b", "worker", False),
        ("a", "api", True),
    ]


def test_a_process_that_was_killed_is_not_alive(tmp_path: Path) -> None:
    (tmp_path / "processes-a.jsonl").write_text(
        line(instance="a", pid=2**22 + 1, alive=True)
        + line(instance="b", machine="another", last_seen="2026-06-21T00:00:00Z")
    )
    assert [p.alive for p in processes.read(tmp_path)] == [False, False]


def test_a_number_or_a_time_that_cannot_be_is_no_sign_of_life(tmp_path: Path) -> None:
    (tmp_path / "processes-a.jsonl").write_text(
        line(instance="a", pid=2**70)
        + line(instance="b", machine="another", last_seen="0001-01-01T00:00:00")
        + line(instance="c", machine="another", last_seen="9999-12-31T23:59:59-23:59")
    )
    assert not any(p.alive and p.text("instance") != "c" for p in processes.read(tmp_path))


def test_no_spool_no_processes(tmp_path: Path) -> None:
    assert processes.read(tmp_path / "none") == []
