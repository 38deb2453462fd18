"""What a committed status change means for the run: its end, its being put back, a new run.

The change is told to the store, and shown as an event on the span at work or, where no span of
ours is, as a ``generation.status`` span. A generation that goes on after its end has settled (a
retry by a person) begins a new run in a new trace.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.core.profile import Target
from gentrace.runtime import context, reading
from gentrace.runtime.context import Run
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, request_links
from gentrace.runtime.hooks.committed import CommittedChanges
from gentrace.runtime.hooks.provider import ASKED
from gentrace.runtime.store.status import StatusChange
from gentrace.runtime.tracing import link, under


class StatusChanges(BaseHook):
    """Takes each change as it is committed; works in the host's time and waits for nothing."""

    def __init__(self, engine: Engine, target: Target) -> None:
        super().__init__(engine, target, target.name)
        self.rules = engine.store.rules

    def made(self, change: StatusChange) -> None:
        """One change that may be committed."""
        run = context.find(change.generation_id)
        goes_on = run is not None and not run.ended_ns and change.new not in self.rules.outcomes
        if goes_on and self._may_follow_an_end(change):
            # it ended elsewhere: when, decides whether this begins another run
            self.engine.store.runs.prefetch(change.generation_id, fresh=True)

    def coming(self, change: StatusChange) -> None:
        """One change that a commit is about to make."""
        run = context.find(change.generation_id)
        if run is not None and change.new in self.rules.outcomes:
            self.engine.store.coming(run, change.new)

    def _may_follow_an_end(self, change: StatusChange) -> bool:
        """Whether it takes back a final status; of a bulk update nobody knows."""
        return change.old in self.rules.outcomes or (change.old is None and not change.inserted)

    def dropped(self, change: StatusChange) -> None:
        """... which it did not make: it was rolled back, or its session closed."""
        run = context.find(change.generation_id)
        if run is not None and run.coming == change.new:
            self.engine.store.not_coming(run)

    def committed(self, change: StatusChange) -> None:
        """One change of one generation."""
        asset = change.read.get("asset")
        if asset is not None:
            self.engine.store.learn("asset", asset, change.generation_id)
        if change.unsure:
            unsure = self.engine.store.step(incomplete=(names.NO_STATUS,))
            self.engine.store.note_of(change.generation_id, unsure)
        if not change.new:
            return
        run = context.find(change.generation_id)
        begins = run is not None and self._is_over(run, change)
        if run is not None and begins:
            run = self._another(run, change)
        shown = run is not None and run.parent is None
        if run is not None and shown:
            self._show(run, change)  # the root of the new run's trace
        self._note(run, change, begins)
        if run is not None and not shown and not change.inserted:
            self._show(run, change)

    def _is_over(self, run: Run, change: StatusChange) -> bool:
        """Whether the run's end has settled, and this is the generation's next."""
        if not run.ended_ns or change.new in self.rules.outcomes:
            return False
        if self.engine.store.runs.is_unsure(change.generation_id):
            return False  # another process may have put it back before its end had settled
        return change.at_ns > run.ended_ns + self.rules.ns(run.outcome)

    def _another(self, run: Run, change: StatusChange) -> Run:
        """The next run: in the trace of the request that asked for it, or in one of its own."""
        scope = context.current()
        asked = scope.run if scope is not None and scope.kind == "request" else None
        if asked is None or asked.owned or asked.generation_id is not None:
            asked = Run()
        asked.number, asked.owned, asked.prompts = run.number + 1, True, run.prompts
        if run.parent is not None:
            asked.links = (link(run.parent, names.LINK_PREVIOUS),)
            if asked.server_span is not None:
                asked.server_span.add_link(asked.links[0].context, asked.links[0].attributes)
        asked.identify(change.generation_id)
        return asked

    def _note(self, run: Run | None, change: StatusChange, begins: bool) -> None:
        final = change.new in self.rules.outcomes
        facts: dict[str, Any] = {}
        code = change.read.get("error_code")
        if code is not None and self.rules.outcomes.get(change.new) == names.FAILED:
            facts[names.ERROR_CODE] = self.tracing.code(code)
        asked = {name: change.read[key] for name, key in ASKED.items() if key in change.read}
        made = self.engine.store.step(
            at_ns=change.at_ns, status=change.new, old=change.old or "", facts=facts, asked=asked
        )
        if run is None:
            self.engine.store.note_of(change.generation_id, made, urgent=final)
            return
        root = f"{run.parent.span_id:016x}" if begins and run.parent is not None else ""
        self.engine.store.note(run, made, urgent=final or begins, root=root)
        run.coming = ""
        run.ended_ns, run.outcome = (
            (change.at_ns, self.rules.outcomes[change.new]) if final else (0, "")
        )
        if final:
            self.engine.liveness.over(change.generation_id)

    def _show(self, run: Run, change: StatusChange) -> None:
        attributes: dict[str, Any] = {
            names.STATUS: change.new,
            names.STATUS_PREVIOUS: change.old,
            names.OUTCOME: self.engine.profile.statuses.outcome(change.new),
            names.CODE_FUNCTION: change.where or None,
        }
        scope = context.current()
        if scope is not None and scope.run is run:
            if scope.silent and scope.span is None and scope.reveal is not None:
                scope.reveal()
            at_work = trace.get_current_span(context.span_context(scope))
            if at_work.is_recording():
                given = {name: value for name, value in attributes.items() if value is not None}
                at_work.add_event(names.EVENT_STATUS, given)
                return
        parent, links = under(run)
        span = self.tracing.start(
            names.STATUS_CHANGE,
            run,
            parent=parent,
            start_ns=change.at_ns,
            attributes={**attributes, names.CALLER: context.caller() or None},
            links=[*links, *request_links()] if run.parent is not None else run.links,
        )
        if run.parent is None:
            run.parent = span.get_span_context()
        span.end(change.at_ns)


def watch_model(engine: Engine, target: Target, module: ModuleType, cls: Any) -> None:
    """See the statuses of a generation's mapped class; of one without them, nothing."""
    changes = StatusChanges(engine, target)
    listening = CommittedChanges(
        engine, target, cls, changes.committed, changes.coming, changes.made, changes.dropped
    )
    if not listening.install():
        return
    engine.status_committed, engine.status_is_seen = changes.committed, True


def watch_asset(engine: Engine, target: Target, module: ModuleType, cls: Any) -> None:
    """Learn whose the assets are, as they are written: their jobs know nothing else."""
    from sqlalchemy import event

    importlib.import_module("sqlalchemy.orm")  # classes have events from then on, mapped or not

    guard = engine.guard(target.name)

    def written(_mapper: Any, _connection: Any, instance: Any) -> None:
        if guard.off or not engine.active:
            return
        try:
            seen = Call(target.name, None, instance, (), {})
            asset = reading.read_text(target, "asset", seen)
            generation_id = reading.read_text(target, "id", seen)
            if asset is not None and generation_id is not None:
                engine.store.learn("asset", asset, generation_id)
            guard.passed()
        except Exception as exc:
            guard.failed(exc)

    for name in ("after_insert", "after_update"):
        event.listen(cls, name, written, propagate=True)
        engine.undo.append(lambda name=name: event.remove(cls, name, written))
