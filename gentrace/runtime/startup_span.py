"""What this process is made of, told once as a span and kept in its record.

On a thread of its own, which then looks every 15 s whether the host's code on disk is still what
runs. The span is a trace of its own, and belongs to no generation.
"""

from __future__ import annotations

import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

from opentelemetry import context as otel_context

from gentrace.core import names
from gentrace.runtime import git_index, notices, process
from gentrace.runtime.code_state import CodeState
from gentrace.runtime.engine import Engine
from gentrace.runtime.export.sampling import described
from gentrace.runtime.patching import LATE, MISSING, PATCHED
from gentrace.runtime.revision import checkout
from gentrace.runtime.sdk_imports import SdkImports, version

LOOK_EVERY_S = 15.0
LOADED_WITHIN_S = {process.API: 60.0, process.WORKER: 5.0}
_EXIT_S = 0.5


class StartUp:
    """Tells of the process once its role is known.

    Args:
        targets: reports on each hook point (``Patcher.report``).
        write: has the process's record written, with :meth:`facts` in it.
    """

    def __init__(
        self,
        engine: Engine,
        code: CodeState,
        sdks: SdkImports,
        targets: Callable[[], list[dict[str, Any]]],
        write: Callable[[], None],
    ) -> None:
        self.engine, self.code, self.sdks = engine, code, sdks
        self._targets, self._write = targets, write
        self.after_fork()

    def after_fork(self) -> None:
        """A child has its own role and tells of itself; the thread stayed with the parent."""
        self._versions: dict[str, str] = {}
        self._errors: list[str] = []
        self._sampler = ""
        self._dirty = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def begin(self) -> None:
        """The role is known: tell, from our own thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gentrace-code", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more; what was begun is told first, if that is soon."""
        self._stop.set()
        self.engine.process.loaded.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_EXIT_S)

    def facts(self) -> dict[str, Any]:
        """What the process's record says beside who it is; nothing is looked up here."""
        return {
            "code_version": self.engine.process.code_version,
            "stale": self.code.stale(),
            "packages": dict(self._versions),
            "sdks": self.sdks.report() if self._versions else [],
            "import_errors": list(self._errors),
            "sampler": self._sampler,
        }

    # -- the thread ------------------------------------------------------------------------
    def _run(self) -> None:
        otel_context.attach(otel_context.Context())
        self._guarded(self._first)
        while not self._stop.wait(LOOK_EVERY_S):
            self._guarded(self._again)

    @staticmethod
    def _guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as exc:
            notices.swallowed("start-up record", exc)

    def _first(self) -> None:
        self._learn()
        at = self.engine.process
        if not at.loaded.is_set():  # a host may load parts of itself as it starts
            at.loaded.wait(LOADED_WITHIN_S.get(at.role, 0.0))
            self._learn()
        self._tell()
        self._write()

    def _again(self) -> None:
        news = False
        try:
            news = self._look()
        finally:  # a sign of life is given whatever the look met
            if news:
                self._write()
            else:
                self.engine.pipeline.write_record(self.engine.liveness.record())

    def _learn(self) -> None:
        self.code.look()
        self._errors = self.sdks.errors()
        self._sampler = described(self.engine.tracing.provider)
        known = {
            *self.engine.profile.distributions,
            *(sdk.distribution or sdk.module for sdk in self.sdks.sdks),
        }
        found = {name: version(name) for name in sorted(known)}
        self._versions = {name: number for name, number in found.items() if number is not None}
        self._dirty = self._differs_from_git()
        self._name_version()

    def _look(self) -> bool:
        """Look again; whether there is something new to say."""
        errors, before = self.sdks.errors(), self._errors
        self._errors = errors
        news = self.code.look() or errors != before
        self._name_version()
        return news

    def _differs_from_git(self) -> bool:
        """Whether a loaded file differs from git's index; what cannot be read says nothing."""
        found = checkout(self.engine.process.package_file())
        if found is None:
            return False
        try:
            return bool(git_index.changed(found, self.code.files()))
        except (OSError, ValueError, IndexError, struct.error):
            return False

    def _name_version(self) -> None:
        at = self.engine.process
        revision = at.revision()
        dirty = "+dirty" if self._dirty or self.code.stale() else ""
        at.code_version = revision and revision + dirty

    def _tell(self) -> None:
        at = self.engine.process
        states: dict[str, list[str]] = {PATCHED: [], LATE: [], MISSING: []}
        for target in self._targets():
            states.setdefault(target["state"], []).append(target["name"])
        attributes: dict[str, Any] = {
            names.ROLE: at.role,
            names.EXECUTABLE: sys.executable,
            names.PREFIX: sys.prefix,
            names.WORKING_DIRECTORY: process._cwd(),
            names.PACKAGE_FILE: at.package_file(),
            names.CODE_VERSION: at.code_version,
            names.PACKAGES: [f"{name}=={number}" for name, number in self._versions.items()],
            names.IMPORT_ERRORS: self._errors,
            names.SAMPLER: self._sampler,
            names.TARGETS_PATCHED: states[PATCHED],
            names.TARGETS_LATE: states[LATE],
            names.TARGETS_MISSING: states[MISSING],
            names.CODE_STALE: self.code.stale(),
            names.MESSAGING_DESTINATION: at.queue if at.role == process.WORKER else None,
        }
        self.engine.tracing.tracer.start_span(
            names.STARTUP,
            context=otel_context.Context(),
            attributes={name: value for name, value in attributes.items() if value},
            start_time=at.started_ns,
        ).end()
