"""Status changes through the lifecycle service, and cron jobs that work for many generations.

A final status gets a ``generation.finish`` span: what the host does on it. Another status is an
event on the span at work, or a ``generation.status`` span where no span of ours is.

Observed on: host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.context import Scope
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, Observed


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
            attributes[names.OUTCOME] = status
            attributes[names.ERROR_CODE] = self.text("error_code", call)
            return self.for_run(run, names.FINISH, attributes)
        scope = context.recording()
        at_work = trace.get_current_span(context.span_context(scope)) if scope else None
        if scope is not None and scope.run is run and at_work and at_work.is_recording():
            state = Observed(run)
            state.detail["event"], state.detail["span"] = attributes, at_work
            return state
        return self.for_run(run, names.STATUS_CHANGE, attributes)

    def after(self, state: Observed, call: Call, result: Any) -> None:
        event = state.detail.get("event")
        if event is not None:
            state.detail["span"].add_event(names.EVENT_STATUS, event)


class CronHook(BaseHook):
    """A cron job: silent, but what it does for a generation names it as its caller."""

    def before(self, call: Call) -> Observed | None:
        if context.current() is not None:
            return None
        scope = Scope("job", None, f"cron:{self.target.name}")
        return Observed(None, None, scope, context.enter(scope), owns_scope=True)
