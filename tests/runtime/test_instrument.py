"""Switching on and off, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.fresh import run

Fresh = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    """Runs a program in a fresh interpreter; returns what it printed."""
    return partial(run, folder=tmp_path)


@pytest.mark.parametrize("order", ["instrument first", "host first"])
def test_afterwards_the_very_same_objects_are_back(fresh: Fresh, order: str) -> None:
    done = fresh(
        f"""
        import gentrace, threading
        from gentrace.runtime import notices
        swallowed = []
        notices.on_swallowed.append(lambda where, exc: swallowed.append((where, exc)))
        import arq.worker, fastapi, httpx, requests, redis.asyncio.client, sqlalchemy.ext.asyncio
        if {order == "host first"}:
            imported()
            before = objects()
            assert gentrace.instrument()
        else:
            assert gentrace.instrument()
            imported()
            before = None
        hooked = objects()
        wrapped = [k for k, v in hooked.items() if is_hooked(v)]
        print("wrapped", len(wrapped))
        gentrace.uninstrument()
        after = objects()
        left = [k for k, v in after.items() if is_hooked(v)]
        assert left == [], left
        for place in wrapped:
            stands = getattr(after[place], "__func__", after[place])
            assert under(hooked[place]) in (after[place], stands), place
        if before:
            assert changed(before, after) == [], changed(before, after)
        assert [t.name for t in threading.enumerate()] == ["MainThread"]
        assert swallowed == [], swallowed
        """
    )
    assert int(done.stdout.split()[1]) > 60
    assert done.stderr == ""


def test_copies_that_were_taken_before(fresh: Fresh) -> None:
    fresh(
        """
        import functools, gentrace
        imported()
        from sqlalchemy import create_engine
        from pixsim7.backend.main.infrastructure.queue import enqueue_generation_fresh_job as copy
        made = create_engine("sqlite://")

        class Kept:
            handler, static = copy, staticmethod(copy)
            many = [functools.partial(copy, 1)]

        def closing(inner):
            return lambda: inner
        closed = closing(copy)
        assert gentrace.instrument()
        from gentrace.runtime import startup
        rows = {row["name"]: row for row in startup.session().patcher.report()}
        row = rows["enqueue_fresh_job"]
        assert row["state"] == "late", row
        assert row["copies"] == [
            "a closure in __main__.closing.<locals>.<lambda>",
            "a functools.partial in a list in __main__.Kept.many",
        ], row
        main = "pixsim7.backend.main."
        assert {"__main__.copy", "__main__.Kept.handler", "__main__.Kept.static"} <= {
            *row["copies_patched"]
        }
        assert main + "services.generation.creation.enqueue_generation_fresh_job" in {
            *row["copies_patched"]
        }
        others = {name: row for name, row in rows.items() if row["state"] == "late"}
        assert others == {"enqueue_fresh_job": row}, others
        assert is_hooked(copy) and is_hooked(Kept.static)

        from pixsim7.backend.main.infrastructure.database.session import engine
        for one in (made, engine.sync_engine, create_engine("sqlite://")):
            assert len(list(one.dispatch.after_cursor_execute)) == 1

        kept, listed = functools.partial(copy, 1), [copy]
        assert gentrace.uninstrument() == [
            "a functools.partial in __main__.kept", "a list in __main__.listed"
        ]
        assert not is_hooked(copy) and not is_hooked(Kept.static)
        assert len(list(made.dispatch.after_cursor_execute)) == 0
        assert gentrace.instrument()
        rows = {row["name"]: row for row in startup.session().patcher.report()}
        assert set(rows["enqueue_fresh_job"]["copies"]) == {
            *row["copies"], "a functools.partial in __main__.kept", "a list in __main__.listed"
        }
        """
    )


@pytest.mark.parametrize("order", ["instrument first", "host first"])
def test_applications(fresh: Fresh, order: str) -> None:
    fresh(
        f"""
        import asyncio, gentrace
        from gentrace.runtime import notices
        swallowed = []
        notices.on_swallowed.append(lambda where, exc: swallowed.append((where, exc)))
        if {order == "instrument first"}:
            assert gentrace.instrument()
        imported()
        import fastapi
        from starlette.middleware.base import BaseHTTPMiddleware
        made, started = fastapi.FastAPI, fastapi.FastAPI()
        never = fastapi.FastAPI()

        async def call(app):
            said = []

            async def send(message):
                said.append(message.get("status"))

            async def receive():
                return {{"type": "http.request", "body": b""}}

            scope = {{
                "type": "http", "method": "GET", "path": "/openapi.json", "headers": [],
                "query_string": b"", "http_version": "1.1", "scheme": "http",
                "server": ("x", 80), "client": ("y", 1), "root_path": "",
            }}
            await app(scope, receive, send)
            return said[0]

        assert asyncio.run(call(started)) == 200
        if {order == "host first"}:
            stack = started.middleware_stack
            assert gentrace.instrument()
            assert asyncio.run(call(started)) == 200
            assert started.middleware_stack is stack  # it runs on as it is
        late = fastapi.FastAPI()
        assert asyncio.run(call(late)) == 200
        gentrace.uninstrument()
        assert asyncio.run(call(late)) == asyncio.run(call(started)) == 200
        never.add_middleware(BaseHTTPMiddleware, dispatch=lambda request, on: on(request))
        assert asyncio.run(call(never)) == 200
        assert asyncio.run(call(made())) == 200
        assert swallowed == [], swallowed
        """
    )


def test_sqlalchemys_listeners_are_gone(fresh: Fresh) -> None:
    fresh(
        """
        import gentrace
        gentrace.instrument()
        imported()

        assert len(listeners()) == 15, listeners()  # a new row's id and its status
        gentrace.uninstrument()
        assert listeners() == [], listeners()
        """
    )


def test_names_that_the_host_copied_pass_straight_through(fresh: Fresh) -> None:
    fresh(
        """
        import asyncio, gentrace, time
        gentrace.instrument()
        imported()
        from gentrace.runtime import guard, startup
        from pixsim7.backend.main.services.generation import creation
        session = startup.session()
        gentrace.uninstrument()

        def unexpected(*given):
            raise AssertionError("it must not be observed")

        guard.Call = unexpected

        class Pool:
            async def set(self, *given, **named):
                return None

        assert asyncio.run(creation.enqueue_generation_fresh_job(Pool(), 1)) is False
        assert session.pipeline.lost == session.engine.store.lost == 0
        """
    )


def test_what_a_worker_kept_is_put_back(fresh: Fresh) -> None:
    fresh(
        """
        import asyncio, gentrace
        gentrace.instrument()
        imported()
        import arq.worker
        from pixsim7.backend.main.workers.arq_worker import WorkerSettings
        before = [job.coroutine for job in WorkerSettings.cron_jobs]

        class Nothing:
            "Stands for Redis: the worker ends when it cannot be asked."

        async def work():
            worker = arq.worker.Worker(
                WorkerSettings.functions, cron_jobs=WorkerSettings.cron_jobs, redis_pool=Nothing()
            )
            try:
                await worker.main()
            except AttributeError:
                pass

        def kept():
            return [a is b.coroutine for a, b in zip(before, WorkerSettings.cron_jobs)]

        asyncio.run(work())
        assert not any(kept())
        gentrace.uninstrument()
        assert all(kept())
        """
    )


def test_a_second_call_changes_nothing(fresh: Fresh) -> None:
    fresh(
        """
        import gentrace
        from gentrace.runtime import startup
        assert gentrace.instrument() and gentrace.instrument()
        imported()
        once, session = objects(), startup.session()
        assert gentrace.instrument()
        assert startup.session() is session
        assert changed(once, objects()) == []
        gentrace.uninstrument()
        gone = objects()
        gentrace.uninstrument()
        assert changed(gone, objects()) == []
        assert gentrace.instrument()
        again = objects()
        assert {k for k in once if is_hooked(once[k])} >= {k for k in again if is_hooked(again[k])}
        gentrace.uninstrument()
        assert changed(gone, objects()) == []
        """
    )


@pytest.mark.parametrize("switched", [True, False], ids=["by GENTRACE", "by a program"])
@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("no_such_profile", "no such profile"),
        ("missing.toml", "cannot be read"),
        ("broken.toml", "not valid TOML"),
    ],
)
def test_a_profile_that_cannot_be_used_is_one_line(
    fresh: Fresh, tmp_path: Path, profile: str, said: str, switched: bool
) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    done = fresh(
        f"""
        import gentrace
        if not {switched}:
            assert not gentrace.instrument("{profile}")
            assert not gentrace.instrument("{profile}")
        imported()
        assert not any(is_hooked(value) for value in objects().values())
        print("the host runs")
        """,
        **({"GENTRACE": "1", "GENTRACE_PROFILE": profile} if switched else {}),
    )
    assert done.stdout == "the host runs\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("gentrace: ")
    assert said in line
    assert line.endswith("; the host runs without tracing")


@pytest.mark.parametrize(
    "environment", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}], ids=str
)
def test_export_that_is_switched_off_hooks_nothing(
    fresh: Fresh, environment: dict[str, str]
) -> None:
    done = fresh(
        """
        import gentrace
        imported()
        assert not gentrace.instrument()
        assert not any(is_hooked(value) for value in objects().values())
        """,
        GENTRACE="1",
        **environment,
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_process_that_imports_nothing_of_the_host_stays_as_it_is(
    fresh: Fresh, tmp_path: Path
) -> None:
    done = fresh(
        """
        import threading
        import gentrace, httpx, sqlalchemy
        assert "opentelemetry" not in sys.modules
        assert threading.active_count() == 1
        """,
        GENTRACE="1",
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert not (tmp_path / "spool").exists()
