"""The creating call: create_generation, its hash, and the lookups with their true outcomes.

The lookups swallow Redis errors and answer None, which looks like a miss; what a lookup really
met is seen at redis-py (hooks/redis.py). Whether a hit was used, skipped or stale is known when
create_generation returns, so these spans end then.

Observed on: redis-py 4.5 to 6, SQLAlchemy 2.0 and 2.1, host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

from opentelemetry import trace

from gentrace.core import names
from gentrace.core.profile import Target
from gentrace.runtime import context, reading
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks import host_requests
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.hooks.redis import Probe, probe
from gentrace.runtime.tracing import below, link, type_name


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


creating: ContextVar[Creation | None] = ContextVar("gentrace.creating", default=None)


class CreateHook(BaseHook):
    """create_generation: takes the request's trace for its generation, or starts a new one."""

    waits = False

    def before(self, call: Call) -> Observed:
        ambient = context.current()
        prompts = reading.read_all(self.target, "prompt", call)
        attributes = {
            names.GENERATION_RUN: 1,
            names.OPERATION: self.text("operation", call),
            names.PROVIDER: self.text("provider", call),
            names.MODEL: self.text("model", call),
            names.USER_ID: self.text("user", call),
        }
        if ambient is None:
            run = host_requests.take(self.engine.profile.trust_incoming)
        else:
            run = ambient.run if ambient.kind == "request" else None
        if run is not None and not run.owned:
            span = self.tracing.start(names.CREATE_GENERATION, run, attributes=attributes)
        else:
            run = Run()
            span = self.tracing.start(
                names.CREATE_GENERATION,
                run,
                parent=below(None),
                attributes={**attributes, names.CALLER: context.caller() or None},
                links=_ambient_links(ambient),
            )
        run.owned, run.prompts = True, prompts
        run.parent = span.get_span_context()
        scope = Scope("create", run, ambient.caller if ambient is not None else "")
        state = Observed(run, span, scope, context.enter(scope, span), owns_scope=True)
        state.detail["creation"] = creation = Creation(run)
        state.detail["reset"] = creating.set(creation)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        span, run, creation = _parts(state)
        generation_id = self.text("id", call, result)
        hits = {lookup.found for lookup in creation.lookups.values()}
        self._close_lookups(creation, span, generation_id)
        for name, key in ((names.GENERATION_HASH, "hash"), (names.MODEL, "model")):
            value = self.text(key, call, result)
            if value is not None:
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
            self.engine.store.save(run)

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

    def _close_lookups(self, creation: Creation, span: trace.Span, result: str | None) -> None:
        """Say what became of each lookup, on its own span and on the creation's."""
        failed = self.engine.profile.statuses.failed
        for name in (names.DEDUP_RESULT, names.CACHE_RESULT):
            lookup = creation.lookups.get(name)
            if lookup is None:
                if result is not None:
                    span.set_attribute(name, names.OFF)
                continue
            # an id that the INSERT gave again (SQLite reuses them) was not the answer either
            answered = lookup.found == result and creation.run.generation_id != result
            if lookup.result == names.HIT and not answered:
                status = creation.loaded.get(lookup.found or "")
                if status is None:
                    lookup.result = names.STALE
                elif status in failed or result is not None:
                    lookup.result = names.SKIPPED_FAILED
            span.set_attribute(name, lookup.result)
            if lookup.span is not None:
                lookup.span.set_attribute(name, lookup.result)
                self.tracing.end(lookup.span, creation.run, lookup.end_ns)
        creation.lookups.clear()

    def settle(self, state: Observed) -> None:
        state.detail["creation"].over = True
        creating.reset(state.detail["reset"])
        run, span = state.run, state.span
        super().settle(state)
        if run is not None and run.generation_id is None and span is not None:
            run.abandon()


def _parts(state: Observed) -> tuple[trace.Span, Run, Creation]:
    assert state.span is not None
    assert state.run is not None
    return state.span, state.run, state.detail["creation"]


def _ambient_links(ambient: Scope | None) -> list[trace.Link]:
    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return []
    in_request = ambient.caller == "request" if ambient else host_requests.at_work()
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


class LookupHook(BaseHook):
    """find_by_hash and get_cached_generation: hit, miss, or an error that looked like a miss."""

    SPANS: ClassVar[dict[str, tuple[str, str]]] = {
        "dedup": (names.DEDUP, names.DEDUP_RESULT),
        "cache": (names.CACHE, names.CACHE_RESULT),
    }

    def before(self, call: Call) -> Observed | None:
        if creating.get() is None:
            return None
        state = self.inside(self.SPANS[self.target.role][0])
        if state is not None:
            state.detail["probe"] = seen = Probe()
            state.detail["reset"] = probe.set(seen)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        seen: Probe = state.detail["probe"]
        found = self.text("found", call, result)
        error: BaseException | None = None
        if found is not None:
            outcome = names.HIT
            self.engine.store.prefetch(found)  # its run is linked when the request is answered
        elif self.engine.profile.lookup_store != "redis" or seen.clean_miss():
            outcome = names.MISS
        else:
            outcome, error = names.LOOKUP_ERROR, seen.error
        self._conclude(state, outcome, found, error)

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        self._conclude(state, names.LOOKUP_ERROR, None, exc)

    def _conclude(
        self, state: Observed, outcome: str, found: str | None, error: BaseException | None
    ) -> None:
        creation, span = creating.get(), state.span
        if span is None or creation is None:
            return
        name = self.SPANS[self.target.role][1]
        if found is not None:
            span.set_attribute(names.FOUND_ID, found)
        if outcome == names.LOOKUP_ERROR:
            if error is not None:
                self.tracing.fail(span, error, state.run)
            else:
                span.set_attribute(names.ERROR_TYPE, "lookup_failed")
                span.set_status(trace.Status(trace.StatusCode.ERROR, "the lookup was not answered"))
        previous = creation.lookups.get(name)
        if previous is not None and previous.span is not None:
            previous.span.set_attribute(name, previous.result)
            self.tracing.end(previous.span, creation.run, previous.end_ns)
        creation.lookups[name] = Lookup(outcome, found, span, time.time_ns())
        state.span = None  # ends with the creation, which knows what became of it

    def settle(self, state: Observed) -> None:
        reset = state.detail.get("reset")
        if reset is not None:
            probe.reset(reset)
        super().settle(state)


class CacheWriteHook(BaseHook):
    """store_hash, cache_generation and the like: an event on the creation's span."""

    def before(self, call: Call) -> Observed | None:
        scope = context.recording()
        if creating.get() is None or scope is None:
            return None
        state = Observed(scope.run)
        state.detail["probe"] = seen = Probe()
        state.detail["reset"] = probe.set(seen)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        seen: Probe = state.detail["probe"]
        attributes: dict[str, str] = {names.CACHE_OPERATION: self.target.name}
        if seen.error is not None:
            attributes[names.ERROR_TYPE] = type_name(type(seen.error))
        trace.get_current_span().add_event(names.EVENT_CACHE, attributes)

    def settle(self, state: Observed) -> None:
        probe.reset(state.detail["reset"])


def watch_model(engine: Engine, target: Target, module: ModuleType, cls: Any) -> None:
    """Listen to the mapped class: the id on INSERT, the status of what a lookup's id loads.

    A generation that is loaded also shows its prompt, kept in memory only, so that it can be
    taken out of error messages in every process.
    """
    from sqlalchemy import event

    guard = engine.guard(target.name)

    def guarded(work: Callable[[Any], None], instance: Any) -> None:
        if guard.off or not engine.active:
            return
        try:
            work(instance)
            guard.passed()
        except Exception as exc:
            guard.failed(exc)

    def inserted(instance: Any) -> None:
        creation, generation_id = creating.get(), _id_of(target, instance)
        if creation is not None and not creation.over and generation_id is not None:
            creation.run.identify(generation_id)

    def loaded(instance: Any) -> None:
        generation_id = _id_of(target, instance)
        if generation_id is None:
            return
        run = context.find(generation_id)
        if run is not None and not run.prompts:
            seen = Call(target.name, None, instance, (), {})
            run.prompts = reading.read_all(target, "prompt", seen)
        creation = creating.get()
        if creation is None or creation.over or generation_id == creation.run.generation_id:
            return
        status = reading.text(reading.field(instance, "status"))
        creation.loaded[generation_id] = (status or "").lower()

    def after_insert(_mapper: Any, _connection: Any, instance: Any) -> None:
        guarded(inserted, instance)

    def load(instance: Any, _context: Any) -> None:
        guarded(loaded, instance)

    def refresh(instance: Any, _context: Any, _attributes: Any) -> None:
        guarded(loaded, instance)

    for name, listener in (("after_insert", after_insert), ("load", load), ("refresh", refresh)):
        event.listen(cls, name, listener, propagate=True)
        engine.undo.append(_remover(event, cls, name, listener))


def _id_of(target: Target, instance: Any) -> str | None:
    return reading.read_text(target, "id", Call(target.name, None, instance, (), {}))


def _remover(event: Any, cls: Any, name: str, listener: Any) -> Callable[[], None]:
    def remove() -> None:
        event.remove(cls, name, listener)

    return remove
