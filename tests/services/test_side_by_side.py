"""The rules of a test run, in one process and in several: nothing left out, together, alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESSES = pytest.mark.parametrize("processes", [0, 2])

LEFT_OUT = {
    "skipped:": "def test_it(): pytest.skip('no such thing')",
    "skipped: test_sample.py": "pytest.skip('none', allow_module_level=True)",
    "expected to fail:": "@pytest.mark.xfail\ndef test_it(): assert False",
    "expected to fail: test_sample.py": "@pytest.mark.xfail\ndef test_it(): pass",
    "deselected: test_sample.py::test_unwanted": "def test_unwanted(): pass",
}


def run_pytest(
    folder: Path, test: str, processes: int = 0, *more: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a small test file in a pytest of its own, under this suite's rules."""
    (folder / "test_sample.py").write_text(f"import pytest\n{test}\n")
    (folder / "test_good.py").write_text("def test_good(): pass\n")
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-k", "not unwanted", *more]
    spread = ["-n", str(processes)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *spread, f"--rootdir={folder}", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@PROCESSES
@pytest.mark.parametrize(("said", "test"), LEFT_OUT.items())
def test_ci_fails_when_a_test_did_not_have_to_pass(
    tmp_path: Path, said: str, test: str, processes: int
) -> None:
    run = run_pytest(tmp_path, test, processes, CI="true")
    assert run.returncode == 1, run.stdout
    told = run.stdout.partition("CI leaves no test out")[2]
    assert told.count(said) == 1
    assert "1 passed" in run.stdout.splitlines()[-1]


def test_ci_fails_when_every_test_was_left_out(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "", 2, "--deselect", "test_good.py", CI="true")
    assert run.returncode == 1, run.stdout
    assert "deselected: test_good.py::test_good" in run.stdout


def test_outside_ci_tests_may_be_left_out(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, LEFT_OUT["skipped:"], CI="").returncode == 0


@PROCESSES
def test_ci_is_content_when_all_pass(tmp_path: Path, processes: int) -> None:
    run = run_pytest(tmp_path, "def test_it(): pass", processes, CI="true")
    assert run.returncode == 0, run.stdout
    assert "2 passed in" in run.stdout.splitlines()[-1]


def test_without_its_service_a_test_skips_with_the_reason(tmp_path: Path) -> None:
    test = "def test_it(jaeger_server): pass"
    run = run_pytest(tmp_path, test, CI="true", GENTRACE_SERVICES_CACHE=str(tmp_path))
    assert run.returncode == 1
    assert "no jaeger here: install Go" in run.stdout


@PROCESSES
def test_the_summary_names_the_logs_of_a_failed_run(tmp_path: Path, processes: int) -> None:
    test = "def test_it(redis_server): assert 0"
    run = run_pytest(tmp_path, test, processes, TMPDIR=str(tmp_path))
    assert f"server log kept: {tmp_path / 'gentrace-redis-'}" in run.stdout


WHERE = """
import os, pathlib, time

def note(request, begun):
    with open({notes!r}, "a") as notes:
        print(f'["{{request.node.name}}", {{os.getpid()}}, {{begun}}, {{time.monotonic()}}]',
              file=notes)

@pytest.fixture(scope="module", params=["a", "b"])
def host(request): return request.param

@pytest.mark.parametrize("number", range(10))
def test_shared(request, host, number): note(request, time.monotonic())

@pytest.mark.parametrize("number", range(30))
@pytest.mark.parametrize("kind", [pytest.param("alone", marks=pytest.mark.alone), "beside"])
def test_timed(request, kind, number):
    begun = time.monotonic()
    time.sleep(0.002)
    note(request, begun)
"""


def test_what_shares_a_host_stays_together_and_what_is_alone_meets_nobody(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    run = run_pytest(tmp_path, WHERE.format(notes=str(notes)), 3)
    assert run.returncode == 0, run.stdout
    ran = [json.loads(line) for line in notes.read_text().splitlines()]
    assert len({pid for _, pid, *_ in ran}) > 1
    for kind in ("a", "b"):
        mine = [pid for name, pid, *_ in ran if name.startswith(f"test_shared[{kind}-")]
        assert (len(mine), len(set(mine))) == (10, 1)
    alone = [each for each in ran if each[0].startswith("test_timed[alone-")]
    assert len(alone) == 30
    for _, mine, begun, ended in alone:
        assert not [name for name, pid, b, e in ran if pid != mine and b < ended and e > begun]
