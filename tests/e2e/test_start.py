"""However API and worker are started, they are traced and say so once, by what they are."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.e2e import reading
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.programs import BIN, ROOT, Program, clean_environment
from tests.support.small_host import APP, ARQ, FOLDER, UVICORN, WORKER, SmallHost, small_host

MODULES = ("-m", "uvicorn", APP), ("-m", "arq", WORKER)
BOTH = {"pixsim7-api", "pixsim7-worker"}
STARTER = """
import sys
assert not [name for name in sys.modules if name.startswith("gentrace")]
{first}
sys.argv = sys.argv[1:]
if sys.argv[0] == "uvicorn":
    from uvicorn.main import main
else:
    from arq.cli import cli as main
main()
"""
IMPORTED = "import os; os.environ['GENTRACE'] = '1'; import gentrace"  # as load_dotenv would
HOST = "pixsim7.backend.main"
MIDDLE = f"import {HOST}.services.generation.creation, {HOST}.services.provider; {IMPORTED}"
AFTER = f"import {HOST}.main, {HOST}.workers.arq_worker; {IMPORTED}"
CALLED = "import gentrace; assert gentrace.instrument(); assert gentrace.instrument()"


@pytest.fixture(scope="module")
def host(received: OtlpReceiver, anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The stand-in and Redis alone: each test starts API and worker its own way."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
    with small_host(env, api=False, workers=0, failed=anything_failed) as running:
        yield running


@pytest.fixture(scope="module")
def api_alone(received: OtlpReceiver, anything_failed: Callable[[], bool]) -> Generator[SmallHost]:
    """The same for tests without a worker: another one must not find the jobs that they leave."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.http_endpoint}
    with small_host(env, api=False, workers=0, failed=anything_failed) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(host: SmallHost, api_alone: SmallHost) -> None:
    """No job waits and no run is still to be written of a test before."""
    host.forget_jobs()
    api_alone.forget_jobs()


@pytest.fixture(scope="module")
def without_pth(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Mapping[str, str]]:
    """An interpreter that finds gentrace and all the rest, but has no .pth; and its environment."""
    home = tmp_path_factory.mktemp("bare")
    (home / "lib").mkdir()
    (home / "lib" / "gentrace").symlink_to(ROOT / "gentrace", target_is_directory=True)
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(home / "venv")],
        env=clean_environment(home),
        timeout=300,
        check=True,
    )
    libraries = [str(FOLDER), str(home / "lib"), sysconfig.get_paths()["purelib"]]
    python = str(home / "venv" / BIN.name / "python")
    return python, {"PYTHONPATH": os.pathsep.join(libraries)}


def said_by(program: Program) -> list[str]:
    """Its start lines; whatever else it said fails the test."""
    lines = program.said()
    assert all("tracing as" in line for line in lines), lines
    return lines


def check_one(
    host: SmallHost,
    received: OtlpReceiver,
    env: Mapping[str, str],
    api: Sequence[str],
    worker: Sequence[str],
    services: set[str] = BOTH,
) -> None:
    """API and worker started so trace one generation and say one line each."""
    received.clear()
    with host.running(env, api=api, worker=worker) as programs:
        generation_id = str(host.run()["id"])
        parts = reading.OF_THE_API | reading.OF_THE_WORKER
        spans = received.wait_for(reading.complete([generation_id], parts))
    assert reading.services(spans) == services
    assert len(reading.by_trace(received.spans())) == 1
    for program, role in zip(programs, ("api", "worker"), strict=True):
        (line,) = said_by(program)
        name = f"pixsim7-{role}" if services == BOTH else next(iter(services))
        assert f"tracing as {name}, spans go to {received.http_endpoint}" in line


def test_as_programs(host: SmallHost, received: OtlpReceiver) -> None:
    check_one(host, received, {"GENTRACE": "1"}, UVICORN, ARQ)


def test_as_modules(host: SmallHost, received: OtlpReceiver) -> None:
    api, worker = ([sys.executable, *module] for module in MODULES)
    check_one(host, received, {"GENTRACE": "true"}, api, worker)


def test_by_exec(host: SmallHost, received: OtlpReceiver) -> None:
    through = [str(BIN / "gentrace"), "exec", "--"]
    check_one(host, received, {}, [*through, *UVICORN], [*through, *ARQ])


@pytest.mark.parametrize("first", [IMPORTED, MIDDLE, AFTER], ids=["before", "middle", "after"])
def test_by_an_import_before_in_the_middle_of_and_after_the_hosts(
    host: SmallHost,
    received: OtlpReceiver,
    without_pth: tuple[str, Mapping[str, str]],
    tmp_path: Path,
    first: str,
) -> None:
    python, env = without_pth
    starter = tmp_path / "start.py"
    starter.write_text(STARTER.format(first=first))
    api, worker = ([python, str(starter), *module[1:]] for module in MODULES)
    check_one(host, received, env, api, worker)


def test_by_a_call_before_the_application_is_imported(
    host: SmallHost, received: OtlpReceiver, tmp_path: Path
) -> None:
    starter = tmp_path / "start.py"
    starter.write_text(STARTER.format(first=CALLED))
    api, worker = ([sys.executable, str(starter), *module[1:]] for module in MODULES)
    check_one(host, received, {}, api, worker)


def test_the_users_service_name_wins(host: SmallHost, received: OtlpReceiver) -> None:
    env = {"GENTRACE": "1", "OTEL_SERVICE_NAME": "my-pixsim"}
    check_one(host, received, env, UVICORN, ARQ, services={"my-pixsim"})


def test_every_reloaded_child_is_traced_anew(
    api_alone: SmallHost, received: OtlpReceiver, tmp_path: Path
) -> None:
    watched = tmp_path / "watched.py"
    watched.touch()
    api = [*UVICORN, "--reload", "--reload-dir", str(tmp_path), "--reload-delay", "0.1"]
    received.clear()
    with api_alone.running({"GENTRACE": "1"}, api=api, worker=None) as (program,):
        first = api_alone.submit("before")
        received.wait_for(reading.complete([first], reading.OF_THE_API))
        assert len(said_by(program)) == 1
        watched.write_text("changed = True\n")
        program.wait_until(lambda: program.text().count("Application startup complete") == 2, "")
        api_alone.wait_ready()
        second = api_alone.submit("after")
        spans = received.wait_for(reading.complete([first, second], reading.OF_THE_API))
        assert len(said_by(program)) == 2
    assert reading.services(spans) == {"pixsim7-api"}
    processes = {
        one: {s["resource"]["process.pid"] for s in reading.of_generation(spans, one)}
        for one in (first, second)
    }
    assert all(len(pids) == 1 for pids in processes.values())
    assert processes[first].isdisjoint(processes[second])
    assert {program.pid}.isdisjoint(processes[first] | processes[second])


def test_a_worker_that_is_started_over_stays_traced(
    host: SmallHost, received: OtlpReceiver, tmp_path: Path
) -> None:
    watched = tmp_path / "watched.py"
    watched.touch()
    worker = [*ARQ, "--watch", str(tmp_path)]
    received.clear()
    with host.running({"GENTRACE": "1"}, worker=worker) as (_, program):
        parts = reading.OF_THE_API | reading.OF_THE_WORKER
        first = str(host.run()["id"])
        received.wait_for(reading.complete([first], parts))
        started = program.text().count("worker_started")
        watched.write_text("changed = True\n")
        program.wait_until(lambda: program.text().count("worker_started") > started, "over")
        second = str(host.run()["id"])
        spans = received.wait_for(reading.complete([first, second], parts))
        assert len(said_by(program)) == 1  # the same process
    assert len(reading.by_trace(spans)) == 2


def test_each_of_several_workers_of_uvicorn_is_traced(
    api_alone: SmallHost, received: OtlpReceiver
) -> None:
    received.clear()
    api = [*UVICORN, "--workers", "2"]
    with api_alone.running({"GENTRACE": "1"}, api=api, worker=None) as (program,):
        program.wait_until(lambda: program.text().count("startup complete") == 2, "both are up")
        ids = api_alone.submit_all([{"prompt": f"number {n}"} for n in range(10)])
        received.wait_for(reading.complete(ids, reading.OF_THE_API))
        assert len(said_by(program)) == 2
    assert reading.services(received.spans()) == {"pixsim7-api"}
    assert len(reading.by_trace(received.spans())) == len(ids)
