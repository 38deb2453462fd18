"""The lifecycle service's status changes, and cron jobs that work for many generations.

A final status gets a ``generation.finish`` span: what the host does on it. That the status was
committed is seen by SQLAlchemy (hooks/committed.py) where the profile names a mapped class; else
the function's word is taken for it.

Observed on: host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.context import Scope
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.arq_outcome import working
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.store.status import StatusChange
from gentrace.runtime.telling import type_name


class StatusHook(BaseHook):
    """GenerationLifecycleService.update_status."""

    waits = True

    def before(self, call: Call) -> Observed | None:
        status = self.text("status", call)
        run = context.find(self.text("id", call))
        if run is None or run.parent is None or status is None:
            return None
        status = status.lower()
        attributes: dict[str, Any] = {names.STATUS: status}
        final = status in self.engine.profile.statuses.final
        if final:
            attributes[names.OUTCOME] = self.engine.profile.statuses.outcome(status)
            code = self.text("error_code", call)
            attributes[names.ERROR_CODE] = code and self.tracing.code(code)
            state = self.for_run(run, names.FINISH, attributes)
            if not self.engine.status_is_seen:
                self.engine.store.coming(run, status)
            state.detail["status"], state.detail["code"] = status, code
            return state
        if self.engine.status_is_seen:
            return None
        scope = context.recording()
        at_work = trace.get_current_span(context.span_context(scope)) if scope else None
        if scope is not None and scope.run is run and at_work and at_work.is_recording():
            state = Observed(run)
            state.detail["event"], state.detail["span"] = attributes, at_work
            return state
        return self.for_run(run, names.STATUS_CHANGE, attributes)

    def after(self, state: Observed, call: Call, result: Any) -> None:
        event, status = state.detail.get("event"), state.detail.get("status")
        if event is not None:
            state.detail["span"].add_event(names.EVENT_STATUS, event)
        if status is None or state.run is None or state.run.generation_id is None:
            return
        code = state.detail["code"]
        if code is not None and status in self.engine.profile.statuses.failed:
            self.engine.store.note(state.run, facts={names.ERROR_CODE: self.tracing.code(code)})
        if not self.engine.status_is_seen:
            change = StatusChange(state.run.generation_id, None, status, at_ns=time.time_ns())
            self.engine.status_committed(change)

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        super().failed(state, call, exc)
        if state.run is not None and state.run.coming == state.detail.get("status"):
            self.engine.store.not_coming(state.run)


class CronHook(BaseHook):
    """A cron job: silent, but what it does for a generation names it as its caller."""

    def before(self, call: Call) -> Observed | None:
        state = Observed()
        if context.current() is None:
            state.scope, state.owns_scope = Scope("job", None, f"cron:{self.target.name}"), True
            state.token = context.enter(state.scope)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        self._ticked("")

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        self._ticked(type_name(type(exc)))

    def _ticked(self, error: str) -> None:
        if working.get() is None:  # else the worker's hook counts it, as all of its crons
            self.engine.liveness.ticked(self.target.name, error)
