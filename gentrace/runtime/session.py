"""One process's instrumentation from the host's import to its end: built, forked, taken down."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.sdk.trace import TracerProvider

from gentrace.core.profile import Profile
from gentrace.core.scrub import Scrubber
from gentrace.core.settings import Settings
from gentrace.runtime import context, guard, notices
from gentrace.runtime.engine import Engine
from gentrace.runtime.export.handover import provider_beside
from gentrace.runtime.export.outlet import make_exporter
from gentrace.runtime.export.pipeline import Pipeline
from gentrace.runtime.export.provider import own_provider
from gentrace.runtime.export.scrubbing import installation_key
from gentrace.runtime.export.spool import Spool
from gentrace.runtime.hooks import (
    account,
    arq_worker,
    creation,
    databases,
    http_clients,
    job,
    poll,
    provider,
    queue,
    redis,
    requests,
    status,
)
from gentrace.runtime.patching import HookFactory, Patcher, Watcher
from gentrace.runtime.process import Process
from gentrace.runtime.record import Recorder
from gentrace.runtime.runs.store import RunStore
from gentrace.runtime.tracing import Tracing

HOOKS: dict[str, HookFactory] = {
    "create": creation.CreateHook,
    "hash": creation.HashHook,
    "dedup": creation.LookupHook,
    "cache": creation.LookupHook,
    "cache_write": creation.CacheWriteHook,
    "enqueue": queue.EnqueueHook,
    "arq_enqueue": queue.ArqEnqueueHook,
    "job": job.JobHook,
    "account": account.AccountHook,
    "account_release": account.AccountReleaseHook,
    "credits": account.CreditsHook,
    "execute": provider.ExecuteHook,
    "adapter": provider.AdapterHook,
    "check_status": poll.CheckStatusHook,
    "poll": poll.PollHook,
    "status": status.StatusHook,
    "cron": status.CronHook,
}
WATCHERS: dict[str, Watcher] = {"model": creation.watch_model}
LIBRARIES: dict[str, Callable[[Engine, ModuleType], None]] = {
    "fastapi": requests.install,
    "sqlalchemy": databases.install,
    "arq.connections": queue.install,
    "arq.worker": arq_worker.install,
    "redis.asyncio.client": redis.install,
    **dict.fromkeys(http_clients.LIBRARIES, http_clients.install),
}


class Session:
    """Builds the engine, installs the hooks, and takes all of it back."""

    def __init__(self, profile: Profile, settings: Settings) -> None:
        self.process = Process(profile, settings)
        self.scrubber = Scrubber(lambda: installation_key(settings.spool))
        self.pipeline = self._pipeline(settings)
        self.process.destination = settings.shown_endpoint or f"the spool {settings.spool}"
        self.process.on_role.append(self._role_known)
        self._own: TracerProvider | None = None
        self.engine = Engine(
            profile=profile,
            settings=settings,
            process=self.process,
            tracing=Tracing(profile, self.scrubber, self._provider),
            store=self._store(profile, settings),
            pipeline=self.pipeline,
        )
        self.patcher = Patcher(self.engine, HOOKS, WATCHERS)
        self.recorder = Recorder(self.engine, self.patcher)
        self.engine.on_end.append(self._ending)
        self.engine.on_hook_off.append(self.recorder.hook_off)
        self._in_child: Any = None

    def _pipeline(self, settings: Settings) -> Pipeline:
        spool = Spool(
            settings.spool,
            settings.spool_max_bytes,
            settings.spool_max_age_s,
            self.process.instance,
        )
        return Pipeline(settings, self.process, spool, self.scrubber, make_exporter)

    @staticmethod
    def _store(profile: Profile, settings: Settings) -> RunStore:
        named = [os.environ.get(name, "") for name in profile.redis_url_env]
        fallback = next((url for url in named if url), None)
        return RunStore(profile.name, settings.redis_url or None, fallback)

    def _provider(self) -> trace.TracerProvider:
        """The host's SDK provider where it has one, else our own, never set globally."""
        existing = trace.get_tracer_provider()
        if isinstance(existing, TracerProvider):
            self.process.destination = "the host's own tracer provider"
            return provider_beside(existing, self.scrubber)
        self._own = own_provider(self.pipeline)
        return self._own

    # -- in --------------------------------------------------------------------------------
    def install(self) -> None:
        """Hook what is there and what comes; see to forks and the interpreter's exit."""
        for name, installer in LIBRARIES.items():
            self.engine.arrivals.await_module(name, self._library(name, installer))
        self.patcher.install()
        atexit.register(self._at_exit)
        _see_to_forks(self)
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            self._finalize()  # a child of multiprocessing leaves without atexit

    def _library(
        self, name: str, installer: Callable[[Engine, ModuleType], None]
    ) -> Callable[[ModuleType], None]:
        def arrived(module: ModuleType) -> None:
            if not self.engine.active:
                return
            try:
                installer(self.engine, module)
                self.engine.libraries.setdefault(name, "hooked")
            except DependencyConflictError as exc:
                self.engine.libraries[name] = str(exc)
                notices.say_once(f"conflict:{name}", f"{name} is not instrumented: {exc}")
            except Exception as exc:
                notices.swallowed(f"hook {name}", exc)

        return arrived

    def _role_known(self) -> None:
        self.pipeline.role_known()
        self.recorder.write()

    # -- out -------------------------------------------------------------------------------
    def after_fork(self) -> None:
        """A forked child is a process of its own: new identity, no inherited spans or threads."""
        if not self.engine.active:
            return
        try:
            notices.forget()
            self.process.renew()
            self.pipeline.after_fork(self.process.instance)
            self.engine.store.after_fork()
            self.recorder.after_fork()
            context.forget_all()
            util = sys.modules.get("multiprocessing.util")
            if util is not None:
                # Its children leave without atexit, and first forget what was to be finalized.
                util.register_after_fork(self, Session._finalize)
        except Exception as exc:
            notices.swallowed("fork", exc)

    def _finalize(self) -> None:
        """In a child of multiprocessing: see out what it recorded, once."""
        if self._in_child is None or not self._in_child.still_active():
            from multiprocessing.util import Finalize

            self._in_child = Finalize(None, self._at_exit, exitpriority=0)

    def _ending(self) -> None:
        self.recorder.write(ended=True)

    def _at_exit(self) -> None:
        if self.engine.active:
            self._see_out()

    def _see_out(self) -> None:
        try:
            self._ending()
            self.recorder.close()
            self.engine.close()
        except Exception as exc:
            notices.swallowed("exit", exc)

    def uninstall(self) -> list[str]:
        """Everything back as it was; what was recorded is written out.

        Returns:
            Who still holds a wrapper of ours: it passes straight through.
        """
        atexit.unregister(self._at_exit)
        if self._in_child is not None:
            self._in_child.cancel()
        self.engine.active = False
        self.engine.arrivals.close()
        for hook in self.engine.guards.values():
            hook.off = True
        self._undo_libraries()
        left = self.recorder.left = self.patcher.uninstall()
        self._see_out()
        self.engine.tracing.close()
        context.forget_all()
        guard.forget()
        return left

    def _undo_libraries(self) -> None:
        for undo in reversed(self.engine.undo):
            try:
                undo()
            except Exception as exc:
                notices.swallowed("uninstrument", exc)
        self.engine.undo.clear()


_forked: list[weakref.ref[Session]] = []


def _see_to_forks(session: Session) -> None:
    """Tell the session of forks. A handler cannot be taken out again: one for all, holding none."""
    if not _forked and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_forked_child)
    _forked[:] = [weakref.ref(session)]


def _in_forked_child() -> None:
    session = _forked[0]()
    if session is not None:
        session.after_fork()
