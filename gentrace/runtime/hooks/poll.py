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
from gentrace.core.run.times import Event, Kind
from gentrace.runtime import ambient, context
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.telling import type_name
from gentrace.runtime.tracing import below, under

SLOW_NS = 5_000_000_000


class PollHook(BaseHook):
    """The poll of one generation."""

    waits = True

    def before(self, call: Call) -> Observed | None:
        run = context.find(self.text("id", call))
        if run is None or run.parent is None:
            return None
        if run.generation_id is not None:
            # there may be a newer run
            self.engine.store.runs.prefetch(run.generation_id, grown=True)
        return self.open(run)

    def open(self, run: Run) -> Observed:
        """A silent scope for a poll of that run."""
        outer = context.current()
        at_work = ambient.current_span().get_span_context()
        inside = outer is not None and outer.run is run and at_work.is_valid
        caller = outer.caller if outer is not None else ""
        scope = Scope("poll", run, caller, silent=True)

        def reveal() -> None:
            if scope.span is None:
                scope.run = newest = _newest(run)
                known = inside and newest is run
                read = newest.provider_status
                parent, links = (below(at_work), []) if known else under(newest)
                scope.span = self.tracing.start(
                    names.PROVIDER_POLL,
                    newest,
                    parent=parent,
                    start_ns=scope.entered_ns,
                    attributes={
                        names.CALLER: caller or None,
                        names.PROVIDER_STATUS: read and self.tracing.word(read, newest),
                    },
                    links=links,
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
        state = self._observed(call)
        if state is not None and state.run is not None and state.run.generation_id is not None:
            self.engine.liveness.asking(state.run.generation_id)
        return state

    def _observed(self, call: Call) -> Observed | None:
        outer = context.current()
        if outer is not None and outer.kind == "poll" and outer.run is not None:
            wanted = self.text("id", call)
            if wanted in (None, outer.run.generation_id):
                return Observed(outer.run, None, outer)
        run = context.find(self.text("id", call))
        if run is None or run.parent is None:
            return None
        return self.open(run)

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        if state.run is not None and state.run.generation_id is not None:
            self.engine.liveness.poll_failed(state.run.generation_id, type_name(type(exc)))
        super().failed(state, call, exc)

    def after(self, state: Observed, call: Call, result: Any) -> None:
        status = self.text("status", call, result)
        if status is None and state.run is not None and state.run.generation_id is not None:
            self.engine.liveness.answered(state.run.generation_id)
        if status is None or state.run is None:
            return
        run = _newest(state.run)
        previous, run.provider_status = run.provider_status, status
        pending = status.lower() in self.engine.profile.provider_pending
        shown = self.tracing.word(status, run)
        self._note(call, result, run, shown, pending, status != previous)
        if status == previous or (previous is None and pending):
            return
        span = self.show(state)
        if span is not None:
            span.set_attribute(names.PROVIDER_STATUS, shown)
            span.set_attribute(names.PROVIDER_OVER, not pending)
            span.add_event(names.EVENT_PROVIDER_STATUS, {names.PROVIDER_STATUS: shown})
            progress = self.value("progress", call, result)
            if isinstance(progress, int | float) and not isinstance(progress, bool):
                span.set_attribute(names.PROVIDER_PROGRESS, float(progress))
            job = self.text("provider_job", call, result)
            if job is not None:
                span.set_attribute(names.PROVIDER_JOB_ID, job)

    def _note(
        self, call: Call, result: Any, run: Run, status: str, pending: bool, changed: bool
    ) -> None:
        """Count the poll in memory; tell the store of what it changed."""
        generation_id, progress = run.generation_id, self.value("progress", call, result)
        if generation_id is None:
            return
        known = isinstance(progress, int | float) and not isinstance(progress, bool)
        at = float(progress) if known else None
        self.engine.liveness.polled(generation_id, status, at)
        self.engine.store.polls.add(run)
        if not changed and pending:
            return
        events = () if pending else (Event(Kind.PROVIDER_DONE, time.time_ns()),)
        facts = {names.PROVIDER_STATUS: status, names.PROVIDER_PROGRESS: at}
        job = self.text("provider_job", call, result)  # none: the submission never got there
        self.engine.store.note(
            run,
            events=events,
            facts={name: value for name, value in facts.items() if value is not None},
            stage="provider" if job or "provider_job" not in self.target.read else "",
            polled=job or "",
        )
        if not pending:
            self.engine.liveness.over(generation_id)

    def settle(self, state: Observed) -> None:
        if state.owns_scope:
            super().settle(state)


def _newest(run: Run) -> Run:
    """The generation's run as it is known by now: a retry elsewhere may have begun another."""
    return context.find(run.generation_id) or run
