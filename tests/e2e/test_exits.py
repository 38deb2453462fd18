"""However a process ends: as without gentrace, at most 3 s later, and with no word of ours.

The endpoint never answers, so that there is something to wait for.
"""

from __future__ import annotations

import re
import signal
import textwrap
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e import reading
from tests.e2e.faults import LONGER_S, WHOLE, listed, raised_elsewhere
from tests.support import bad_endpoint as bad
from tests.support.bad_endpoint import bad_endpoint
from tests.support.lasting import Lasting
from tests.support.programs import BIN, Program
from tests.support.small_host import SmallHost, small_host
from tests.support.waiting import eventually

HOST = '''
    """The small host's API and worker, and what ends them."""
    import os, sys
    from contextlib import asynccontextmanager
    from pixsim7.backend.main.main import app as whole, lifespan
    from pixsim7.backend.main.workers.arq_worker import WorkerSettings

    how = os.environ["ENDS"]
    if how == "at import":
        raise LookupError("the host is broken")
    if how == "exits at import":
        sys.exit(7)

    def end():
        if how == "exits":
            sys.exit(7)
        if how == "exits at once":
            os._exit(7)
        raise LookupError("the host is broken")

    @asynccontextmanager
    async def ending(app):
        async with lifespan(app):
            end()
            yield

    async def startup(ctx):
        await WorkerSettings.on_startup(ctx)
        end()

    whole.router.lifespan_context = ending
    SETTINGS = {**vars(WorkerSettings), "on_startup": startup}
'''
WAYS = ("at import", "exits at import", "raises", "exits", "exits at once")


class End(NamedTuple):
    """How a program ended."""

    code: int | None
    seconds: float
    said: list[str]
    last: str
    """The last line that it printed, without its time."""


@pytest.fixture(scope="module")
def host(anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts API and worker."""
    with small_host(api=False, workers=0, failed=anything_failed) as running:
        (running.folder / "ends.py").write_text(textwrap.dedent(HOST))
        yield running


@pytest.fixture
def silence() -> Generator[str]:
    """An endpoint that never answers."""
    with bad_endpoint(bad.never_answers) as address:
        yield f"http://{address}"


COMMANDS = {
    "api": (str(BIN / "uvicorn"), "ends:whole", "--app-dir", ".", "--port", "0"),
    "worker": (str(BIN / "python"), "-m", "arq", "ends.SETTINGS"),
}


def ended(host: SmallHost, role: str, env: dict[str, str]) -> End:
    """Run that program until it ends by itself."""
    program = host.start(f"ends-{role}", COMMANDS[role], env)
    took = Lasting([program])
    program.wait_until(took.over, "ends")
    lines = [line for line in program.text().splitlines() if not line.startswith("gentrace:")]
    last = re.sub(r'"timestamp": "[^"]*"', "", lines[-1]) if lines else ""
    return End(program._process.returncode, took.seconds[0], program.said(), last)


@pytest.mark.parametrize("way", WAYS)
def test_a_host_that_does_not_come_up(host: SmallHost, silence: str, way: str) -> None:
    host.forget_jobs()  # it would write the run of another test's processes, that has settled
    for role in COMMANDS:
        bare = ended(host, role, {"ENDS": way})
        env = {"GENTRACE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": silence, "ENDS": way}
        traced = ended(host, role, env)
        assert (traced.code, traced.last) == (bare.code, bare.last)
        assert traced.seconds - bare.seconds < LONGER_S
        assert [line for line in traced.said if "tracing as" not in line] == []


def pair(host: SmallHost, env: dict[str, str]) -> list[Program]:
    programs = [host.start_api(env), host.start_worker(env)]
    host.wait_ready()
    return programs


def idle(worker: Program) -> None:
    """Wait until a poll has ended: ARQ's end is another one while a job runs."""
    ended = "\u2190 cron:poll_job_statuses"
    polls = worker.text().count(ended)
    worker.wait_until(lambda: worker.text().count(ended) > polls, "has polled")


def gone(programs: Sequence[Program], how: signal.Signals) -> list[tuple[int | None, float]]:
    """Signal them; the exit codes, and the seconds that each took."""
    took = Lasting(programs)
    for program in programs:
        program.send(how)
    eventually(took.over)
    codes = [program._process.returncode for program in programs]
    return list(zip(codes, took.seconds, strict=True))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGHUP])
def test_every_signal_means_what_it_did(
    host: SmallHost, silence: str, tmp_path: Path, how: signal.Signals
) -> None:
    ends: list[list[tuple[int | None, float]]] = []
    spool = tmp_path / "spool"
    traced = {
        "GENTRACE": "1",
        "GENTRACE_SPOOL": str(spool),
        "OTEL_EXPORTER_OTLP_ENDPOINT": silence,
    }
    for env in ({}, traced):
        programs = pair(host, env)
        try:
            assert host.run()["status"] == "completed"
            idle(programs[1])
            ends.append(gone(programs, how))
        finally:
            for program in programs:
                program.end_group()
        for program in programs:
            assert len(program.said()) <= 2
            raised_elsewhere(program)
    for (bare_code, bare_s), (code, seconds) in zip(*ends, strict=True):
        # ARQ's own end is 0 or 1 by whether a cron job happens to run at that moment
        assert code == bare_code or {code, bare_code} == {0, 1}
        assert seconds - bare_s < LONGER_S
    listed(spool, tmp_path)


def test_a_process_that_is_killed_loses_its_last_second_at_most(
    host: SmallHost, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    programs = pair(host, {"GENTRACE": "1", "GENTRACE_SPOOL": str(spool)})
    try:
        generation_id = str(host.run()["id"])
        whole = reading.complete([generation_id], WHOLE)
        programs[0].wait_until(lambda: whole(reading.spooled(spool)), "is written")
    finally:
        for program in programs:
            program.send(signal.SIGKILL)
            program.end_group()
    found, said = listed(spool, tmp_path)
    assert (generation_id, "completed") in [(g["id"], g["outcome"]) for g in found]
    assert said == []


def test_a_worker_that_is_killed_at_work_leaves_a_readable_spool(
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
        worker.wait_until(lambda: not worker.alive, "is gone")
        spans = reading.spooled(host.spool)
        assert reading.complete([first], WHOLE)(spans)
        found, said = listed(host.spool, tmp_path)
    assert {g["id"]: g["outcome"] for g in found} == {first: "completed", second: None}
    assert said == []
