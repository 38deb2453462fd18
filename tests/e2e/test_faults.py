"""What gentrace needs is missing, full, broken or killed: generations are unharmed, in one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import reading
from tests.support.programs import BIN, ROOT, Program, clean_environment
from tests.support.small_host import UVICORN, SmallHost, small_host
from tools import servers

WHOLE = reading.OF_THE_API | reading.OF_THE_WORKER
PIXSIM7 = ROOT / "gentrace" / "profiles" / "pixsim7.toml"
SMALL_FILES = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts API and worker."""
    env = {"STANDIN_SLOW_RENDER_S": "2"}
    with small_host(env, api=False, workers=0, failed=anything_failed) as running:
        yield running


def listed(spool: Path, home: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What `gentrace list` reads there, and what it says beside it."""
    done = subprocess.run(
        [str(BIN / "gentrace"), "list", "--json", "--source", str(spool)],
        env=clean_environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["generations"], done.stderr.splitlines()


def one_more_line(programs: Sequence[Program]) -> set[str]:
    """Each program said its start line and one more: these. At its end it may count losses."""
    lines: set[str] = set()
    for program in programs:
        said = [line for line in program.said() if "spans could not be written" not in line]
        starts = [line for line in said if "tracing as" in line]
        assert (len(starts), len(said)) == (1, 2), said
        lines.update(said)
        lines.difference_update(starts)
    return lines


def spooled_whole(spool: Path, generation_id: str, program: Program) -> None:
    """Wait until the spool has the generation's whole trace."""
    whole = reading.complete([generation_id], WHOLE)
    program.wait_until(lambda: whole(reading.spooled(spool)), "is whole in the spool", 10)


# -- the spool -----------------------------------------------------------------------------
def test_a_spool_that_cannot_be_written(host: SmallHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    spool = tmp_path / "file" / "spool"
    with host.running({"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)}) as programs:
        assert [host.run()["status"] for _ in range(2)] == ["completed", "completed"]
        for program in programs:
            program.wait_until(lambda program=program: len(program.said()) == 2, "says so", 10)
    (line,) = one_more_line(programs)
    assert f"the spool {spool} cannot be written" in line


def test_a_disk_that_is_full(host: SmallHost, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    env = {
        "GENTRACE": "1",
        "GENTRACE_SPOOL": str(spool),
        "DATABASE_URL": "sqlite+aiosqlite:///:memory:",  # its files would be limited, too
    }
    limited = [sys.executable, "-c", SMALL_FILES, "8000", sys.executable, *UVICORN]
    with host.running(env, api=limited, worker=None) as programs:
        ids = [host.submit(f"number {number}") for number in range(4)]
        programs[0].wait_until(lambda: len(programs[0].said()) == 2, "says so", 10)
        assert [host.generation(i)["status"] for i in ids] == ["pending"] * 4
    (line,) = one_more_line(programs)
    assert "cannot be written" in line
    files = [path for path in spool.glob("*.jsonl") if path.stat().st_size]
    assert files
    assert all(path.stat().st_size <= 8000 for path in files)
    listed(spool, tmp_path)
    host.forget_jobs()  # another database's


def test_a_damaged_line_and_half_a_line(host: SmallHost, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with host.running({"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)}) as programs:
        generation_id = str(host.run()["id"])
        spooled_whole(spool, generation_id, programs[0])
    before, said = listed(spool, tmp_path)
    assert [(g["id"], g["outcome"]) for g in before] == [(generation_id, "completed")]
    assert said == []
    file = max(spool.glob("spans-*.jsonl"), key=lambda path: path.stat().st_size)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b'{"resourceSpans": [{"dam\x00aged\xff"\n' + b"".join(lines) + lines[0][:100])
    after, said = listed(spool, tmp_path)
    assert after == before
    assert len(said) == 1
    assert file.name in said[0]


def test_a_killed_worker_leaves_a_readable_spool(
    anything_failed: Callable[[], bool], tmp_path: Path
) -> None:
    env = {"GENTRACE": "1", "STANDIN_SLOW_SUBMIT_S": "30"}
    with small_host(env, failed=anything_failed) as host:
        (worker,) = host.workers
        first = str(host.run()["id"])
        second = host.submit("killed meanwhile SLOWSUBMIT")
        worker.wait_until(
            lambda: (
                "account.select"
                in reading.names(reading.of_generation(reading.spooled(host.spool), second))
            ),
            "the account's span is in the spool",
        )
        worker.send(signal.SIGKILL)
        worker.wait_until(lambda: not worker.alive, "is gone", 10)
        spans = reading.spooled(host.spool)
        assert reading.complete([first], WHOLE)(spans)
        found, said = listed(host.spool, tmp_path)
    assert {g["id"]: g["outcome"] for g in found} == {first: "completed", second: None}
    assert said == []


# -- the store -----------------------------------------------------------------------------
def test_the_stores_redis_goes_away_and_generations_go_on(
    host: SmallHost, tmp_path: Path, anything_failed: Callable[[], bool]
) -> None:
    spool = tmp_path / "spool"
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)}
    with ExitStack() as stack:
        store = stack.enter_context(servers.redis(anything_failed))
        with host.running({**env, "GENTRACE_REDIS_URL": store.url}) as programs:
            ids = [host.submit("before SLOWRENDER")]
            host.wait_status(ids[0], "processing")
            stack.close()
            ids += [host.submit("after"), host.submit("after FILTER1")]
            assert [g["status"] for g in host.wait_final(ids)] == ["completed"] * 3
    (line,) = one_more_line(programs)
    assert "the run store in Redis does not answer" in line
    for generation_id in ids:
        spans = reading.of_generation(reading.spooled(spool), generation_id)
        assert {"process_generation", "provider.execute"} <= reading.names(spans)
        assert reading.services(spans) == {"pixsim7-api", "pixsim7-worker"}
        assert len(reading.roots(spans)) == 1


# -- the settings ----------------------------------------------------------------------------
def test_a_profile_with_an_unknown_key(host: SmallHost, tmp_path: Path) -> None:
    profile, spool = tmp_path / "mine.toml", tmp_path / "spool"
    profile.write_text("trust_incomming = true\n" + PIXSIM7.read_text(encoding="utf-8"))
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_PROFILE": str(profile)}
    with host.running(env) as programs:
        generation_id = str(host.run()["id"])
        spooled_whole(spool, generation_id, programs[0])
    (line,) = one_more_line(programs)
    assert "unknown key 'trust_incomming'" in line
    assert "trust_incoming" in line


@pytest.mark.parametrize("text", [None, "name = [", 'name = "x"\n'])
def test_a_profile_that_cannot_be_used(host: SmallHost, tmp_path: Path, text: str | None) -> None:
    profile, spool = tmp_path / "mine.toml", tmp_path / "spool"
    if text is not None:
        profile.write_text(text)
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "GENTRACE_PROFILE": str(profile)}
    with host.running(env) as programs:
        assert host.run()["status"] == "completed"
    for program in programs:
        (line,) = program.said()
        assert str(profile) in line
        assert "the host runs without tracing" in line
    assert not spool.exists()


def test_switched_off_by_opentelemetrys_own_variables(host: SmallHost, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    env = {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool), "HOME": str(tmp_path)}
    programs = [
        host.start_api({**env, "OTEL_SDK_DISABLED": "true"}),
        host.start_worker({**env, "OTEL_TRACES_EXPORTER": "none"}),
    ]
    try:
        host.wait_ready()
        assert host.run()["status"] == "completed"
    finally:
        for program in programs:
            program.stop()
    assert [program.said() for program in programs] == [[], []]
    assert list(tmp_path.iterdir()) == []
