"""A fault in every guard of the runtime, before and after its work: the host sees nothing of it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import faults
from tests.support.programs import ROOT
from tests.support.small_host import FOLDER
from tools.servers import RedisServer

GUARDS = faults.guards()
SAID_ONCE = {
    "carrier.py:_span_context",
    "carrier.py:arrived",
    "carrier.py:inject",
    "export/outlet.py:Outlet.write",
}
"""Faults of others (a propagator, an endpoint, a Redis): said in words of their own."""
UNSAID = {
    "copies.py:exchange",  # a class that is closed to changes: its copy is listed
    "carrier.py:adding.serialize",
    "carrier.py:taking.deserialize",
    "hooks/log_events.py:_formatted",
    "notices.py:say_once",
    "store/connection.py:Connection.close",
    "session.py:Session.after_fork",  # in the child
}
"""The host's own error, which it meets without us; and where there is nobody left to tell."""
ELSEWHERE = {
    "baggage.py:hold_back.inject": "tests/runtime/test_carrier.py",
    "carrier.py:_readable": "tests/runtime/test_carrier.py",
    "export/otlp_http.py:Answers.send": "tests/e2e/test_endpoint_faults.py",
    "export/outlet.py:Outlet._no_exporter": "tests/runtime/export/test_pipeline.py",
    "hooks/threads.py:ThreadHooks.start": "tests/runtime/hooks/test_threads.py",
    "hooks/threads.py:ThreadHooks.submit": "tests/runtime/hooks/test_threads.py",
    "hooks/instrumentors.py:once_complete.later": "tests/e2e/test_opentelemetry_instrument.py",
    "hooks/logs_loguru.py:install.emit": "tests/runtime/hooks/test_logs_loguru.py",
    "otel_instrumentor.py:GentraceInstrumentor._instrument": (
        "tests/e2e/test_opentelemetry_instrument.py"
    ),
    "store/settle.py:Settler._take": "tests/runtime/store/test_hazards.py",
    "store/sweep.py:Sweeper._look_at": "tests/runtime/store/test_sweep.py",
    "sdk_imports.py:SdkImports._is_there": "tests/runtime/test_sdk_imports.py",
    "sdk_imports.py:_Noticing.create_module": "tests/runtime/test_sdk_imports.py",
    "sdk_imports.py:_Noticing.exec_module": "tests/runtime/test_sdk_imports.py",
    "unread_dotenv.py:DotenvOnlooker.find_spec": "tests/e2e/test_unread_dotenv.py",
    "stepping.py:_Steps.begin": "tests/runtime/test_stepping.py",
    "stepping.py:_Steps.go_on": "tests/runtime/test_stepping.py",
    "stepping.py:_Steps.go_in": "tests/runtime/test_stepping.py",
    "stepping.py:_Steps.go_out": "tests/runtime/test_stepping.py",
    "stepping.py:_Steps.over": "tests/runtime/test_stepping.py",
    "telling.py:_code_of": "tests/runtime/hooks/test_failing.py",
    "telling.py:_text_of": "tests/runtime/hooks/test_failing.py",
    "unread_dotenv.py:watch": "tests/e2e/test_unread_dotenv.py",
}
"""Guards that no scene comes past, and the tests that do."""


@pytest.fixture(scope="module")
def played(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What the program of tests/support/faulty_host.py wrote."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GENTRACE", "OTEL_"))}
    folder = tmp_path_factory.mktemp("faulty")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.faulty_host", redis_server.url, str(folder)],
        capture_output=True, text=True, timeout=550, check=False, cwd=ROOT,
        env={**kept, "PYTHONPATH": os.pathsep.join((str(ROOT), str(FOLDER)))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_host_is_well_without_a_fault(played: list[dict[str, Any]]) -> None:
    seen = {line["scene"]: line["seen"] for line in played if "guard" not in line}
    assert seen == {
        "a_generation": [201, 1, "completed", 404, [2, 0, 0]],
        "a_job_that_the_worker_refuses": [201, 1],
        "hooks_that_give_up": [True, True],
        "a_library_span": 1,
        "what_the_host_logs": ["Generation 1 queued for processing", True],
        "a_start": False,
        "a_life_of_the_api": ["lifespan.startup.complete", "lifespan.shutdown.complete"],
        "spans_for_the_hosts_provider": None,
        "a_fork": 7,
        "a_host_that_instruments_itself": [True, 4],
        "off_and_on": [False, False],
    }


@pytest.mark.parametrize("guard", [guard for guard in GUARDS if guard not in ELSEWHERE])
@pytest.mark.parametrize("when", [faults.FIRST, faults.LAST])
def test_a_fault_never_reaches_the_host(
    guard: str, when: str, played: list[dict[str, Any]]
) -> None:
    whole = {line["scene"]: line["seen"] for line in played if "guard" not in line}
    plays = [line for line in played if (line.get("guard"), line.get("when")) == (guard, when)]
    assert plays, "no scene comes past it: add one, or name the test that does"
    for line in plays:
        assert line["seen"] == whole[line["scene"]]
        assert line["swallowed"] or guard in SAID_ONCE | UNSAID


@pytest.mark.parametrize("guard", ELSEWHERE)
def test_what_is_tested_elsewhere_is(guard: str) -> None:
    assert guard in GUARDS
    tests = ast.parse((ROOT / Path(ELSEWHERE[guard])).read_text())
    assert any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for node in ast.walk(tests)
    )


def test_the_lists_are_of_guards() -> None:
    assert SAID_ONCE | UNSAID | ELSEWHERE.keys() <= set(GUARDS)
