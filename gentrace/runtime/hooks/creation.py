"""The creating call: create_generation and its hash.

It takes the request's trace for its generation, or starts a new one. What its lookups found
(hooks/lookups.py) was used, skipped or stale: that is known when it returns.

Observed on: host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.core.run.run import run_span_id
from gentrace.runtime import ambient, context, reading
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks import host_requests
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.store import steps
from gentrace.runtime.tracing import below, link


@dataclass(eq=False, slots=True)
class Lookup:
    """One lookup of a creation: what it found, and its span, which ends with the creation."""

    result: str
    found: str | None = None
    span: trace.Span | None = None
    end_ns: int = 0


@dataclass(eq=False, slots=True)
class Creation:
    """What is learnt while a create_generation runs."""

    run: Run
    lookups: dict[str, Lookup] = field(default_factory=dict[str, Lookup])
    loaded: dict[str, str] = field(default_factory=dict[str, str])
    over: bool = False


LOOKUPS = {
    "dedup": (names.DEDUP, names.DEDUP_RESULT),
    "cache": (names.CACHE, names.CACHE_RESULT),
}
"""A lookup's span and the attribute with its outcome, by role."""
creating: ContextVar[Creation | None] = ContextVar("gentrace.creating", default=None)


class CreateHook(BaseHook):
    """create_generation: takes the request's trace for its generation, or starts a new one."""

    waits = False

    def before(self, call: Call) -> Observed:
        outer = context.current()
        prompts = reading.read_all(self.target, "prompt", call)
        attributes = {
            names.GENERATION_RUN: 1,
            names.OPERATION: self.text("operation", call),
            names.PROVIDER: self.text("provider", call),
            names.MODEL: self.text("model", call),
            names.USER_ID: self.text("user", call),
        }
        run = outer.run if outer is not None and outer.kind == "request" else None
        if run is None and (outer is None or outer.kind == "request"):
            run = host_requests.take(self.engine.profile.trust_incoming, self.engine.together)
        if run is not None and not run.owned:
            span = self.tracing.start(names.CREATE_GENERATION, run, attributes=attributes)
        else:
            run = Run()
            span = self.tracing.start(
                names.CREATE_GENERATION,
                run,
                parent=below(None),
                attributes={**attributes, names.CALLER: context.caller() or None},
                links=_ambient_links(outer),
            )
        run.owned, run.prompts = True, prompts
        run.parent = span.get_span_context()
        scope = Scope("create", run, outer.caller if outer is not None else "")
        state = Observed(run, span, scope, context.enter(scope, span), owns_scope=True)
        state.detail["creation"] = creation = Creation(run)
        state.detail["asked"] = attributes
        steps.began(self.engine, run, span)
        state.detail["reset"] = creating.set(creation)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        span, run, creation = _parts(state)
        generation_id = self.text("id", call, result)
        hits = {lookup.found for lookup in creation.lookups.values()}
        facts: dict[str, Any] = {**state.detail["asked"]}
        facts |= self._close_lookups(creation, span, generation_id)
        for name, key in ((names.GENERATION_HASH, "hash"), (names.MODEL, "model")):
            value = self.text(key, call, result)
            if value is not None:
                facts[name] = value
                span.set_attribute(name, value)
        if generation_id is None:
            return
        existing = generation_id in hits or generation_id in creation.loaded
        if run.generation_id not in (None, generation_id) or (
            run.generation_id is None and existing
        ):
            self._answered_by(generation_id, self.text("status", call, result), span, run)
        else:
            run.identify(generation_id)
            steps.created(self.engine, run, facts, self._previous(run, span))

    @staticmethod
    def _previous(run: Run, span: trace.Span) -> tuple[tuple[str, str, str], ...]:
        """The link to the run of the generation that the request's path names: a retry of it."""
        known = context.find(run.asked_of)
        if known is None or known.parent is None or known.generation_id == run.generation_id:
            return ()
        found = link(known.parent, names.LINK_PREVIOUS)
        span.add_link(found.context, found.attributes)
        trace_id = f"{known.trace_id:032x}"
        return ((trace_id, run_span_id(trace_id, known.number), names.LINK_PREVIOUS),)

    def _answered_by(
        self, generation_id: str, status: str | None, span: trace.Span, run: Run
    ) -> None:
        """The request was answered with an existing generation: no run, but a link to its run."""
        existing = context.find(generation_id)
        for answered in (span, run.server_span):
            if answered is None or not answered.is_recording():
                continue
            answered.set_attribute(names.RETURNED_ID, generation_id)
            if status is not None:
                answered.set_attribute(names.RETURNED_STATUS, status)
            if existing is not None and existing.parent is not None:
                found = link(existing.parent, names.LINK_RETURNED)
                answered.add_link(found.context, found.attributes)
        run.abandon()

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        span, run, creation = _parts(state)
        self._close_lookups(creation, span, None)
        self.tracing.fail(span, exc, run)

    def _close_lookups(
        self, creation: Creation, span: trace.Span, result: str | None
    ) -> dict[str, str]:
        """Say what became of each lookup, on its own span and on the creation's."""
        became: dict[str, str] = {}
        failed = self.engine.profile.statuses.failed
        roles = {target.role for target in self.engine.profile.targets}
        for role, (_, name) in LOOKUPS.items():
            lookup = creation.lookups.get(name)
            if lookup is None:
                if result is not None and role in roles:
                    became[name] = names.OFF
                continue
            # an id that the INSERT gave again (SQLite reuses them) was not the answer either
            answered = lookup.found == result and creation.run.generation_id != result
            if lookup.result == names.HIT and not answered:
                status = creation.loaded.get(lookup.found or "")
                if status is None:
                    lookup.result = names.STALE
                elif status in failed or result is not None:
                    lookup.result = names.SKIPPED_FAILED
            became[name] = lookup.result
            if lookup.span is not None:
                lookup.span.set_attribute(name, lookup.result)
                self.tracing.end(lookup.span, creation.run, lookup.end_ns)
        creation.lookups.clear()
        span.set_attributes(became)
        return became

    def settle(self, state: Observed) -> None:
        state.detail["creation"].over = True
        context.leave(state.detail["reset"])
        run, span = state.run, state.span
        super().settle(state)
        if run is not None and run.generation_id is None and span is not None:
            run.abandon()


def _parts(state: Observed) -> tuple[trace.Span, Run, Creation]:
    assert state.span is not None
    assert state.run is not None
    return state.span, state.run, state.detail["creation"]


def _ambient_links(outer: Scope | None) -> list[trace.Link]:
    current = ambient.current_span().get_span_context()
    if not current.is_valid:
        return []
    began_in = outer or context.inherited()
    in_request = began_in.caller == "request" if began_in else host_requests.at_work()
    kind = names.LINK_REQUEST if in_request else names.LINK_CHAIN
    return [link(current, kind)]


class HashHook(BaseHook):
    """compute_hash, where a creation calls it."""

    def before(self, call: Call) -> Observed | None:
        return self.inside(names.HASH) if creating.get() is not None else None

    def after(self, state: Observed, call: Call, result: Any) -> None:
        value = self.text("hash", call, result)
        if state.span is not None and value is not None:
            state.span.set_attribute(names.GENERATION_HASH, value)
