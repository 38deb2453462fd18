"""Runs a program in a fresh interpreter beside the small host."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.support.host import FOLDER

OBJECTS = """
    import importlib, inspect, pkgutil, sys
    from gentrace.core import profile

    def imported():
        "Imports the whole host and what of it and of its libraries is patched."
        package = importlib.import_module("pixsim7.backend.main")
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(found.name)

    def objects():
        "Every object at a place that is patched, by name."
        places = {}
        for target in profile.load()[0].targets:
            for module, qualname in target.spellings(("pixsim7.backend.main",)):
                owner = sys.modules.get(module)
                *path, name = qualname.split(".")
                for part in path:
                    owner = getattr(owner, part, None)
                if owner is None or not hasattr(owner, name):
                    continue
                places[module, qualname] = inspect.getattr_static(owner, name)
                for cls in getattr(getattr(owner, name), "__mro__", ())[:-1]:
                    for method, value in vars(cls).items():
                        if callable(value):
                            places[cls, method] = value
        import arq.connections, arq.worker, fastapi, fastapi.applications, httpx, requests
        import redis.asyncio.client as client, sqlalchemy, sqlalchemy.engine, sqlalchemy.ext.asyncio
        for owner in (
            arq.connections, arq.connections.ArqRedis, arq.worker, arq.worker.Worker,
            fastapi, fastapi.applications.FastAPI, httpx, httpx.AsyncHTTPTransport,
            httpx.HTTPTransport, requests.Session, client.Redis, client.Pipeline,
            sqlalchemy, sqlalchemy.engine, sqlalchemy.Engine, sqlalchemy.ext.asyncio,
        ):
            for name, value in vars(owner).items():
                if not name.startswith("__") or name in ("__init__", "__call__"):
                    places[repr(owner), name] = value
        return places

    def listeners():
        "Who listens to the host's models, its engine and SQLAlchemy's sessions, but for the host."
        from sqlalchemy import inspect as look
        from sqlalchemy.orm import Session
        from pixsim7.backend.main.domain import Asset, Generation
        from pixsim7.backend.main.infrastructure.database.session import engine
        mapper, asset, sync = look(Generation), look(Asset), engine.sync_engine
        sessions = [
            getattr(Session.dispatch, name)._clslevel.get(Session, ())
            for name in (
                "do_orm_execute", "after_commit", "after_soft_rollback", "after_transaction_end"
            )
        ]
        events = [
            mapper.dispatch.after_insert, mapper.dispatch.after_update,
            mapper.class_manager.dispatch.load, mapper.class_manager.dispatch.refresh,
            Generation.status.dispatch.set, *sessions,
            asset.dispatch.after_insert, asset.dispatch.after_update,
            sync.dispatch.before_cursor_execute, sync.dispatch.after_cursor_execute,
            sync.dialect.dispatch.handle_error,
        ]
        left_out = ("pixsim7",)
        return [f for event in events for f in event if not f.__module__.startswith(left_out)]

    def is_hooked(found):
        "Whether a wrapper stands there."
        wrapt, ours = sys.modules.get("wrapt"), sys.modules.get("gentrace.runtime.wrapping")
        is_hook = ours is not None and ours.is_hook(found)
        return is_hook or (wrapt is not None and isinstance(found, wrapt.FunctionWrapper))

    def under(found):
        "What stands there without our wrapper."
        return sys.modules["gentrace.runtime.wrapping"].wrapper_in(found).__wrapped__

    def changed(before, after):
        "The places whose object is another one; modules that came since do not count."
        return [k for k in before if after[k] is not before[k] and not inspect.ismodule(before[k])]
"""
"""Stands in front of every program: imports the host, and finds what of it is patched."""


def run(program: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs it in `folder`, without Redis and with these settings of gentrace alone.

    It must succeed; what it printed is returned.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GENTRACE", "OTEL_"))}
    given = {
        **kept,
        "PYTHONPATH": os.pathsep.join((str(FOLDER), os.environ.get("PYTHONPATH", ""))),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'host.db'}",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "GENTRACE_SPOOL": str(folder / "spool"),
        **environment,
    }
    text = textwrap.dedent(OBJECTS) + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", text],
        capture_output=True, text=True, timeout=300, env=given, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done
