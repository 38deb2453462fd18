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

from gentrace.core import names
from gentrace.core.host_logs import fields_by_name
from gentrace.core.profile import Profile, Target
from gentrace.core.run.rules import Settling
from gentrace.core.scrub import Scrubber
from gentrace.core.settings import HOST, OWN, Settings
from gentrace.runtime import context, guard, notices, visibility
from gentrace.runtime.code_state import CodeState
from gentrace.runtime.engine import Engine
from gentrace.runtime.export.installation_key import installation_key
from gentrace.runtime.export.outlet import make_exporter
from gentrace.runtime.export.pipeline import Pipeline
from gentrace.runtime.export.place import Place
from gentrace.runtime.export.provider import routed_provider
from gentrace.runtime.export.router import Router
from gentrace.runtime.export.scrubbing import clean_record
from gentrace.runtime.export.spool import Spool
from gentrace.runtime.hooks import (
    account,
    arq_worker,
    changes,
    creation,
    databases,
    http_clients,
    job,
    logs,
    logs_loguru,
    logs_structlog,
    lookups,
    model,
    poll,
    provider,
    queue,
    redis,
    requests,
    status,
    submissions,
    threads,
)
from gentrace.runtime.patching import HookFactory, Patcher, Watcher
from gentrace.runtime.process import Process
from gentrace.runtime.record import Recorder
from gentrace.runtime.sdk_imports import SdkImports
from gentrace.runtime.startup_span import StartUp
from gentrace.runtime.store.store import RunStore
from gentrace.runtime.tracing import Tracing
from gentrace.runtime.upkeep import Upkeep


def _watch_model(engine: Engine, target: Target, module: ModuleType, cls: Any) -> None:
    model.watch_model(engine, target, module, cls)
    changes.watch_model(engine, target, module, cls)


HOOKS: dict[str, HookFactory] = {
    "create": creation.CreateHook,
    "hash": creation.HashHook,
    "dedup": lookups.LookupHook,
    "cache": lookups.LookupHook,
    "cache_write": lookups.CacheWriteHook,
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
WATCHERS: dict[str, Watcher] = {
    "model": _watch_model,
    "asset": changes.watch_asset,
    "submission": submissions.watch_submission,
}
LIBRARIES: dict[str, Callable[[Engine, ModuleType], None]] = {
    "fastapi": requests.install,
    "sqlalchemy": databases.install,
    "arq.connections": queue.install,
    "arq.worker": arq_worker.install,
    "redis.asyncio.client": redis.install,
    "threading": threads.install,
    "concurrent.futures.thread": threads.install,
    "logging": logs.install,
    "structlog": logs_structlog.install,
    "loguru": logs_loguru.install,
    **dict.fromkeys(http_clients.LIBRARIES, http_clients.install),
}


class Session:
    """Builds the engine, installs the hooks, and takes all of it back."""

    def __init__(self, profile: Profile, settings: Settings) -> None:
        self.process = Process(profile, settings)
        self.scrubber = Scrubber(
            lambda: installation_key(settings.spool), fields_by_name(profile.log_events)
        )
        self.process.shown, notices.shown = self.scrubber.of_resource, self.scrubber.line
        self.pipeline = self._pipeline(settings)
        self._said = False
        self.router = Router(self.pipeline, self.process, self.scrubber, self._handed, self._moved)
        self.process.destination = self._destination
        self.process.on_role.append(self._role_known)
        self.code = CodeState(profile.packages, self.process.started_ns)
        self.sdks = SdkImports(profile.sdks)
        self.engine = Engine(
            profile=profile,
            settings=settings,
            process=self.process,
            tracing=Tracing(profile, self.scrubber, self._provider),
            store=self._store(profile, settings),
            pipeline=self.pipeline,
        )
        self.engine.store.shown = self.scrubber.attribute
        self.engine.liveness.shown = lambda record: clean_record(record, self.scrubber)
        self.upkeep = Upkeep(
            self.engine,
            self._emit,
            lambda: {"stale": self.code.stale()},
        )
        self.patcher = Patcher(self.engine, self.code.watching(HOOKS), WATCHERS)
        self.recorder = Recorder(self.engine, self.patcher, self._more)
        self.startup = StartUp(
            self.engine, self.code, self.sdks, self.patcher.report, self.recorder.write
        )
        self.engine.on_end += [self._ending, self.upkeep.ending]
        self.engine.on_hook_off.append(self.recorder.hook_off)
        self._in_child: Any = None

    def _more(self) -> dict[str, Any]:
        destination, why = self._destination()
        place = {"where": self.router.place.where, "destination": destination, "why": why}
        return {**self.startup.facts(), "place": place, **self.engine.liveness.doing()}

    def _emit(self, span: Any, done: Callable[[bool], None] | None = None) -> None:
        """Send a span that was made whole; ``done`` learns whether it was taken."""
        self.router.put(span, done)

    def _pipeline(self, settings: Settings) -> Pipeline:
        spool = Spool(
            settings.spool,
            settings.spool_max_bytes,
            settings.spool_max_age_s,
            self.process.instance,
        )
        return Pipeline(settings, self.process, spool, self.scrubber, make_exporter)

    def _store(self, profile: Profile, settings: Settings) -> RunStore:
        named = [os.environ.get(name, "") for name in profile.redis_url_env]
        fallback = next((url for url in named if url), None)
        rules = Settling.of(profile.statuses)
        url = settings.redis_url or None
        return RunStore(
            profile.name,
            rules,
            url,
            fallback,
            lambda: self.process.instance,
            settings.environment,
        )

    def _provider(self) -> trace.TracerProvider:
        """Our own, never set globally; its spans go where the rule says (export/place.py)."""
        return routed_provider(self.router)

    def _destination(self) -> tuple[str, str]:
        """Where spans go, and why, in words."""
        at, settings = self.router.place, self.engine.settings
        ours = settings.shown_endpoint or f"the spool {settings.spool}"
        to = "the host's own tracer provider"
        return {OWN: ours, HOST: to}.get(at.where, f"{to} and {ours}"), at.why

    def _moved(self, _place: Place) -> None:
        """The host has set up a provider, or changed its own: say where spans go now."""
        if self._said:
            destination, why = self._destination()
            notices.say_once(f"moved: {destination}", f"spans go to {destination} ({why})")
            self.recorder.write()

    def _handed(self, spans: list[Any]) -> None:
        """The host's processors have these: they are done with here."""
        self.upkeep.open.left(spans)

    # -- in --------------------------------------------------------------------------------
    def install(self) -> None:
        """Hook what is there and what comes; see to forks and the interpreter's exit."""
        for name, installer in LIBRARIES.items():
            self.engine.arrivals.await_module(name, self._library(name, installer))
        self.patcher.install()
        self.sdks.install()
        atexit.register(self._at_exit)
        visibility.is_shared = self.engine.together = self.router.is_together
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
                self.engine.libraries[name] = f"{names.REFUSED}{exc}"
                notices.say_once(f"conflict:{name}", f"{name} is not instrumented: {exc}")
            except Exception as exc:
                notices.swallowed(f"hook {name}", exc)

        return arrived

    def _role_known(self) -> None:
        self._said = True
        self.pipeline.role_known()
        self.recorder.write()
        self.startup.begin()
        self.upkeep.begin()

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
            self.startup.after_fork()
            self.recorder.after_fork()
            self.upkeep.after_fork()
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
            self.startup.stop()
            self._ending()
            self.recorder.close()
            self.upkeep.leave()
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
        self.sdks.close()
        for hook in self.engine.guards.values():
            hook.off = True
        self._undo_libraries()
        left = self.recorder.left = self.patcher.uninstall()
        self._see_out()
        self.engine.tracing.close()
        visibility.forget()
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
