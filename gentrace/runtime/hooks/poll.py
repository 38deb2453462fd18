"""Status polls: silent while nothing changes, a provider.poll span when something does.

Silence is decided before a span starts: a poll opens a silent scope, and its span is made (with
the poll's own start) once the provider gave a final or new status, the status of the generation
changes, or the poll fails or took over five seconds. At older revisions the poller has no
function for one generation; there each check_status is a poll.

Observed on: host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.tracing import below

SLOW_NS = 5_000_000_000


class PollHook(BaseHook):
    """The poll of one generation."""

    waits = True

    def before(self, call: Call) -> Observed | None:
        run = context.find(self.text("id", call))
        if run is None or run.parent is None:
            return None
        return self.open(run)

    def open(self, run: Run) -> Observed:
        """A silent scope for a poll of that run."""
        outer = context.current()
        under = trace.get_current_span().get_span_context()
        inside = outer is not None and outer.run is run and under.is_valid
        caller = outer.caller if outer is not None else ""
        scope = Scope("poll", run, caller, silent=True)

        def reveal() -> None:
            if scope.span is None:
                scope.span = self.tracing.start(
                    names.PROVIDER_POLL,
                    run,
                    parent=below(under if inside else run.parent),
                    start_ns=scope.entered_ns,
                    attributes={names.CALLER: caller or None},
                )

        scope.reveal = reveal
        return Observed(run, None, scope, context.enter(scope), owns_scope=True)

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        self.show(state, exc)

    def show(self, state: Observed, exc: BaseException | None = None) -> trace.Span | None:
        """Make the poll's span, and say on it what failed."""
        scope = state.scope
        if scope is None or scope.reveal is None:
            return None
        scope.reveal()
        if exc is not None and scope.span is not None:
            self.tracing.fail(scope.span, exc, state.run)
        return scope.span

    def settle(self, state: Observed) -> None:
        scope = state.scope
        if scope is not None and time.time_ns() - scope.entered_ns > SLOW_NS:
            self.show(state)
        if state.token is not None:
            context.leave(state.token)
        if scope is not None:
            scope.close()
            if scope.span is not None:
                self.tracing.end(scope.span, state.run)


class CheckStatusHook(PollHook):
    """ProviderService.check_status: part of a poll, or a poll of its own."""

    def before(self, call: Call) -> Observed | None:
        outer = context.current()
        if outer is not None and outer.kind == "poll" and outer.run is not None:
            wanted = self.text("id", call)
            if wanted in (None, outer.run.generation_id):
                return Observed(outer.run, None, outer)
        run = context.find(self.text("id", call))
        if run is None or run.parent is None:
            return None
        return self.open(run)

    def after(self, state: Observed, call: Call, result: Any) -> None:
        status, run = self.text("status", call, result), state.run
        if status is None or run is None:
            return
        previous, run.provider_status = run.provider_status, status
        pending = status.lower() in self.engine.profile.provider_pending
        if status == previous or (previous is None and pending):
            return
        span = self.show(state)
        if span is not None:
            span.set_attribute(names.PROVIDER_STATUS, status)
            span.add_event(names.EVENT_PROVIDER_STATUS, {names.PROVIDER_STATUS: status})
            progress = self.value("progress", call, result)
            if isinstance(progress, int | float) and not isinstance(progress, bool):
                span.set_attribute(names.PROVIDER_PROGRESS, float(progress))
            job = self.text("provider_job", call, result)
            if job is not None:
                span.set_attribute(names.PROVIDER_JOB_ID, job)

    def settle(self, state: Observed) -> None:
        if state.owns_scope:
            super().settle(state)
