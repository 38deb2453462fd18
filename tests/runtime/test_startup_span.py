"""What a process tells of itself once its role is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from gentrace.core import names, profile, settings
from gentrace.runtime import notices, startup_span
from gentrace.runtime.session import Session
from tests.runtime.conftest import Swallowed
from tests.support.fresh import run
from tests.support.host import MemoryExporter, attributes
from tests.support.waiting import PATIENCE_S

SHOP = "shop_of_startup"
PROFILE = f"""
name = "shop"
packages = ["{SHOP}"]
distributions = ["wrapt", "no-such-distribution-of-anybody"]
[[sdks]]
module = "sdk_that_is_nowhere"
[[targets]]
name = "create"
role = "create"
at = [".orders:create"]
[[targets]]
name = "plugin"
role = "hash"
optional = true
at = [".plugin:digest"]
[[targets]]
name = "gone"
role = "hash"
at = [".orders:gone"]
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A host of one module in a checkout of its own; gives that module's file."""
    package = tmp_path / "tree" / SHOP
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    path = package / "orders.py"
    path.write_text("def create():\n    return 1\n")
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=package.parent, env=env, check=True, timeout=300)
    monkeypatch.syspath_prepend(package.parent)
    yield path
    for name in [name for name in sys.modules if name.partition(".")[0] == SHOP]:
        del sys.modules[name]


@contextmanager
def told(folder: Path) -> Generator[tuple[Session, Callable[[], list[ReadableSpan]]]]:
    """A session with the shop imported, and the spans that leave it."""
    given = {"GENTRACE_SPOOL": str(folder / "spool"), "OTEL_BSP_SCHEDULE_DELAY": "5"}
    session = Session(profile.parse(PROFILE, "test")[0], settings.read(given))
    session.pipeline.exporter = exporter = MemoryExporter()
    session.process.loaded.set()
    session.install()
    __import__(f"{SHOP}.orders")

    def spans() -> list[ReadableSpan]:
        until(lambda: bool(session.process.code_version))
        thread = session.startup._thread
        assert thread is not None
        until(lambda: session.pipeline.force_flush(100) and bool(exporter.spans))
        return exporter.spans

    try:
        yield session, spans
    finally:
        session.uninstall()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)


def records(folder: Path) -> list[dict[str, Any]]:
    lines = [
        line
        for path in sorted((folder / "spool").glob("processes*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [json.loads(line)["gentraceProcess"] for line in lines]


def test_what_a_host_loads_as_it_starts_is_told_with_the_rest(shop: Path, tmp_path: Path) -> None:
    """Plugins, routers that a start-up brings in: the role is known before them."""
    (shop.parent / "plugin.py").write_text("def digest():\n    return 2\n")
    with told(tmp_path) as (session, spans):
        session.process.loaded.clear()
        session.process.become("api")
        until(lambda: bool(session.process.code_version))
        __import__(f"{SHOP}.plugin")
        session.process.loaded.set()
        (span,) = spans()
    assert attributes(span)[names.TARGETS_PATCHED] == ("create", "plugin")


def test_one_span_says_what_the_process_is_made_of(shop: Path, tmp_path: Path) -> None:
    with told(tmp_path) as (session, spans):
        assert session.pipeline.force_flush(1000)
        session.process.become("worker", "arq:queue")
        session.process.become("api")
        (span,) = spans()
        seen = attributes(span)
        revision = session.process.revision()
    assert span.name == names.STARTUP
    assert span.parent is None
    assert revision is not None
    assert seen == {
        names.ROLE: "worker",
        names.EXECUTABLE: sys.executable,
        names.PREFIX: sys.prefix,
        names.WORKING_DIRECTORY: os.getcwd(),
        names.PACKAGE_FILE: str(shop.parent / "__init__.py"),
        names.CODE_VERSION: revision,
        names.PACKAGES: (f"wrapt=={startup_span.version('wrapt')}",),
        names.IMPORT_ERRORS: ("sdk_that_is_nowhere: ModuleNotFoundError",),
        names.TARGETS_PATCHED: ("create",),
        names.TARGETS_MISSING: ("gone",),
        names.MESSAGING_DESTINATION: "arq:queue",
        names.SCRUBBED: True,  # an import's error is a text
    }
    record = records(tmp_path)[-1]
    assert record["alive"] is False
    assert record["code_version"] == record["revision"] == revision
    assert record["import_errors"] == ["sdk_that_is_nowhere: ModuleNotFoundError"]
    assert [sdk["state"] for sdk in record["sdks"]] == ["failed"]
    assert list(record["packages"]) == ["wrapt"]
    assert record["stale"] == []


def test_the_sampler_is_told_where_it_leaves_runs_out(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.9999999")
    with told(tmp_path) as (session, spans):
        session.process.become("api")
        (span,) = spans()
        assert attributes(span)[names.SAMPLER] == "TraceIdRatioBased{0.9999999}"
    assert records(tmp_path)[-1]["sampler"] == "TraceIdRatioBased{0.9999999}"


def test_code_that_is_not_what_git_has(shop: Path, tmp_path: Path) -> None:
    shop.write_text("def create():\n    return 2\n")
    with told(tmp_path) as (session, spans):
        session.process.become("api")
        (span,) = spans()
        assert attributes(span)[names.CODE_VERSION] == f"{session.process.revision()}+dirty"
        assert names.CODE_STALE not in attributes(span)


def test_code_that_changes_is_told_in_the_record(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup_span, "LOOK_EVERY_S", 0.01)
    with told(tmp_path) as (session, spans):
        session.process.become("api")
        assert len(spans()) == 1
        before = session.process.revision()
        shop.write_text("def create():\n    return 'changed'\n")
        until(lambda: session.code.stale() == [f"{SHOP}/orders.py: changed"])
        until(lambda: any(record["stale"] for record in records(tmp_path)))
        last = next(record for record in reversed(records(tmp_path)) if record["stale"])
        assert last["code_version"] == f"{before}+dirty"
        assert last["revision"] == before
        assert len(spans()) == 1


def test_nothing_is_told_without_a_role(shop: Path, tmp_path: Path) -> None:
    with told(tmp_path) as (session, _):
        assert session.startup._thread is None
    assert records(tmp_path) == []


def test_no_thread_is_left(shop: Path, tmp_path: Path) -> None:
    with told(tmp_path) as (session, _):
        session.process.become("api")
        thread = session.startup._thread
        assert thread in threading.enumerate()
    assert thread not in threading.enumerate()


def test_a_failure_of_ours_is_said_once(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swallowed: list[str] = []
    monkeypatch.setattr(notices, "on_swallowed", [lambda where, exc: swallowed.append(where)])
    with told(tmp_path) as (session, _):
        monkeypatch.setattr(session.code, "look", None)
        session.process.become("api")
        until(lambda: bool(swallowed))
    assert swallowed == ["start-up record"]
    assert records(tmp_path)[-1]["alive"] is False


def test_a_look_that_fails_ends_no_signs_of_life(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    monkeypatch.setattr(startup_span, "LOOK_EVERY_S", 0.01)
    with told(tmp_path) as (session, spans):
        session.process.become("api")
        assert len(spans()) == 1

        def broken() -> bool:
            raise PermissionError("a folder that may not be read for a moment")

        with monkeypatch.context() as patched:
            patched.setattr(session.code, "look", broken)
            until(lambda: bool(swallowed))
            given = len(records(tmp_path))
            until(lambda: len(records(tmp_path)) > given + 1)
        shop.write_text("def create():\n    return 'changed'\n")
        until(lambda: any(record["stale"] for record in records(tmp_path)))
    assert {where for where, _ in swallowed} == {"start-up record"}


def test_a_forked_child_tells_of_itself(shop: Path, tmp_path: Path) -> None:
    with told(tmp_path) as (session, spans):
        session.process.become("api")
        assert len(spans()) == 1
        session.startup.after_fork()
        assert session.startup.facts()["packages"] == {}
        session.startup.begin()
        until(lambda: session.pipeline.force_flush(100) and len(spans()) == 2)


def test_a_provider_that_the_host_sets_up_later_still_gets_the_spans(tmp_path: Path) -> None:
    done = run(
        """
        import gentrace, os, time
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        os.environ["GENTRACE_PROVIDER"] = "host"
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        assert gentrace.instrument()
        imported()
        from gentrace.runtime import startup
        session = startup.session()
        session.process.become("api")
        session.startup._thread.join(0.5)
        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        session.engine.tracing.start("ours", None).end()
        print([span.name for span in exporter.get_finished_spans()])
        """,
        tmp_path,
    )
    assert done.stdout.strip() == "['ours']"
