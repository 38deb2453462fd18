"""What listens to SQLAlchemy does so on its other releases: the same tests pass there.

Each of these files is run as it is, with another SQLAlchemy in front of the installed one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fresh import run
from tools import servers
from tools.pip_folders import ROOT, SQLALCHEMY

FILES = (
    "tests/runtime/hooks/test_committed.py",
    "tests/runtime/hooks/test_slow_sql.py",
    "tests/runtime/hooks/test_sql_spans.py",
    "tests/runtime/hooks/test_status.py",
    "tests/runtime/test_trace_shape.py",
)
GIVEN_WAY = """
    import gentrace, logging
    logging.disable(logging.CRITICAL)  # the instrumentation says that it refuses
    assert gentrace.instrument()
    import pixsim7.backend.main, sqlalchemy
    from gentrace.runtime import startup
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from sqlalchemy import Engine

    def heard():
        return len(Engine.dispatch.after_cursor_execute._clslevel.get(Engine, ()))

    libraries = startup.session().engine.libraries
    assert (heard(), libraries["sqlalchemy"]) == (1, "hooked")
    SQLAlchemyInstrumentor().instrument()
    refused = not SQLAlchemyInstrumentor().is_instrumented_by_opentelemetry
    print(sqlalchemy.__version__, "refused" if refused else "instrumented")
    assert heard() == int(refused), heard()
    assert libraries["sqlalchemy"] == ("hooked" if refused else "instrumented by the host")
    if refused:
        try:
            SQLAlchemyInstrumentor().instrument(raise_exception_on_conflict=True)
            raise AssertionError("it does not refuse")
        except Exception as exc:
            assert type(exc).__name__ == "DependencyConflictError", exc
        assert heard() == 1
    else:
        SQLAlchemyInstrumentor().uninstrument()
    gentrace.uninstrument()
    assert heard() == 0
    assert not hasattr(Engine.connect, "__wrapped__")
"""


def in_front(release: str) -> dict[str, str]:
    """The environment for that release; without what is meant for this run of pytest."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return {**kept, "PYTHONPATH": str(servers.find("sqlalchemy") / release)}


@pytest.mark.service("sqlalchemy")
@pytest.mark.service("postgres")
@pytest.mark.service("redis")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("release", SQLALCHEMY.wanted)
def test_the_same_tests_pass_there(release: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES],
        cwd=ROOT, env=in_front(release), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.service("sqlalchemy")
@pytest.mark.parametrize("release", ["", *SQLALCHEMY.wanted])
def test_a_host_whose_own_instrumentation_refuses_that_release_keeps_ours(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if release:
        monkeypatch.setenv("PYTHONPATH", str(servers.find("sqlalchemy") / release))
    done = run(GIVEN_WAY, tmp_path)
    version, said = done.stdout.split()
    assert said == ("refused" if version.startswith("2.1") else "instrumented")
    assert not release or version == release
