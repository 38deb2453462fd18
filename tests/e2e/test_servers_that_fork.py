"""gunicorn, and hosts that fork or spawn: each process is itself, and only those at work say so."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import reading
from tests.support import programs
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.programs import BIN
from tests.support.small_host import APP, FOLDER, SmallHost, small_host

GUNICORN = (str(BIN / "gunicorn"), APP, "--workers", "2", "--worker-class")
PROGRAM = """
    import multiprocessing, os, sys, threading
    import pixsim7.backend.main
    from gentrace.runtime import process, startup

    def ours():
        return [t.name for t in threading.enumerate() if t.name.startswith("gentrace")]

    def make_a_span(name):
        tracing = startup.session().engine.tracing
        tracing.end(tracing.start(name, None), None)

    def child(parents_instance, forked):
        session = startup.session()
        assert session.process.instance != parents_instance
        assert session.process.pid == os.getpid()
        assert (session.process.role, ours()) == ("", [])
        if not forked:
            session.process.become(process.API)
        make_a_span("in the child")

    def idle():
        assert ours() == []

    if __name__ == "__main__":
        how = sys.argv[1]
        here = startup.session().process
        here.become(process.API)
        make_a_span("in the parent")
        context = multiprocessing.get_context(how)
        for target, given in ((child, (here.instance, how == "fork")), (idle, ())):
            started = context.Process(target=target, args=given)
            started.start()
            started.join()
            assert started.exitcode == 0
        assert ours() != []
"""


@pytest.fixture(scope="module")
def host(received: OtlpReceiver, anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis; each test starts its own API, and no worker."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
    with small_host(env, api=False, workers=0, failed=anything_failed) as running:
        yield running


def records(spool: Path) -> list[dict[str, Any]]:
    """The last record of each process."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(spool.glob("processes-*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)["gentraceProcess"]
            found[record["instance"]] = record
    return list(found.values())


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["each loads it", "preloaded"])
def test_gunicorn(host: SmallHost, received: OtlpReceiver, preload: Sequence[str]) -> None:
    received.clear()
    bind = ("--bind", host.url.removeprefix("http://"))
    command = [*GUNICORN, "uvicorn_worker.UvicornWorker", *bind, *preload]
    program = host.start("api", command, {"GENTRACE": "1"})
    host.wait_ready()
    program.wait_until(lambda: program.text().count("startup complete") == 2, "both are up")
    ids = host.submit_all([{"prompt": f"number {n}"} for n in range(10)])
    spans = received.wait_for(reading.complete(ids, reading.OF_THE_API))
    assert program.stop() < 10
    host.forget_jobs()
    lines = program.said()
    assert len(lines) == 2, lines  # the master says nothing
    assert all("tracing as pixsim7-api" in line for line in lines)
    assert reading.services(spans) == {"pixsim7-api"}
    assert len(reading.by_trace(spans)) == len(ids)
    whose = {(s["resource"]["process.pid"], s["resource"]["service.instance.id"]) for s in spans}
    pids = [pid for pid, _ in whose]
    assert len(set(pids)) == len(pids) <= 2
    assert program.pid not in pids


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_multiprocessing(tmp_path: Path, how: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    spool = tmp_path / "spool"
    env = {"GENTRACE": "1", "PYTHONPATH": str(FOLDER), "GENTRACE_SPOOL": str(spool)}
    done = programs.run([sys.executable, str(script), how], tmp_path, env)
    said = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert all("tracing as pixsim7-api" in line for line in said), said
    assert len(said) == (1 if how == "fork" else 2)  # a forked child says so when it serves
    spans = {span["name"]: span["resource"] for span in reading.spooled(spool)}
    assert set(spans) == {"in the parent", "in the child"}
    assert {resource["service.name"] for resource in spans.values()} == {"pixsim7-api"}
    for identity in ("service.instance.id", "process.pid"):
        assert len({resource[identity] for resource in spans.values()}) == 2
    ended = [record for record in records(spool) if not record["alive"]]
    assert len(ended) == len(records(spool)) == len(said)
