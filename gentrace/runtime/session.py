"""One process's instrumentation from the host's import to its end: built, forked, taken down."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt
from opentelemetry import trace
from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.sdk.trace import TracerProvider

from gentrace.core.profile import Profile
from gentrace.core.scrub import Scrubber
from gentrace.core.settings import Settings
from gentrace.runtime import context, notices
from gentrace.runtime.engine import Engine
from gentrace.runtime.export.handover import provider_beside
from gentrace.runtime.export.pipeline import Pipeline, make_exporter
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
        self.process.destination = settings.endpoint or f"the spool {settings.spool}"
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
        self.engine.on_end.append(self._ending)
        self.patcher = Patcher(self.engine, HOOKS, WATCHERS)

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
        self._own = TracerProvider(shutdown_on_exit=False)
        self._own.add_span_processor(self.pipeline)
        return self._own

    # -- in --------------------------------------------------------------------------------
    def install(self) -> None:
        """Hook what is there and what comes; see to forks and the interpreter's exit."""
        for name, installer in LIBRARIES.items():
            wrapt.register_post_import_hook(self._library(name, installer), name)
        self.patcher.install()
        atexit.register(self._at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

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
        self.pipeline.write_record(self._record())

    def _record(self, ended: bool = False) -> dict[str, Any]:
        record = self.process.record(self.patcher.report(), ended)
        record["libraries"] = dict(self.engine.libraries)
        record["hooks_off"] = [g.name for g in self.engine.guards.values() if g.off]
        record["spans_lost"] = self.pipeline.lost
        return record

    # -- out -------------------------------------------------------------------------------
    def _after_fork(self) -> None:
        """A forked child is a process of its own: new identity, no inherited spans or threads."""
        if not self.engine.active:
            return
        try:
            notices.forget()
            self.process.renew()
            self.pipeline.after_fork(self.process.instance)
            self.engine.store.after_fork()
            context.forget_all()
            if "multiprocessing.util" in sys.modules:  # its children leave without atexit
                sys.modules["multiprocessing.util"].Finalize(None, self._at_exit, exitpriority=0)
        except Exception as exc:
            notices.swallowed("fork", exc)

    def _ending(self) -> None:
        if self.process.role:
            self.pipeline.write_record(self._record(ended=True))

    def _at_exit(self) -> None:
        if not self.engine.active:
            return
        try:
            self._ending()
            self.engine.close()
        except Exception as exc:
            notices.swallowed("exit", exc)

    def uninstall(self) -> None:
        """Everything back as it was; what was recorded is written out first."""
        atexit.unregister(self._at_exit)
        self._at_exit()
        self.engine.active = False
        for guard in self.engine.guards.values():
            guard.off = True  # names that the host copied stay wrapped, and pass straight through
        self.patcher.uninstall()
        for undo in reversed(self.engine.undo):
            try:
                undo()
            except Exception as exc:
                notices.swallowed("uninstrument", exc)
        self.engine.undo.clear()
        context.forget_all()
