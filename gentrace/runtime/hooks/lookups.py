"""The lookups of a creation with their true outcomes, and what is written for later ones.

The lookups swallow Redis errors and answer None, which looks like a miss; what a lookup really
met is seen at redis-py (hooks/redis.py). Their spans end with the creation (hooks/creation.py).

Observed on: redis-py 4.5 to 6, host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

import time
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context, visibility
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.hooks.creation import LOOKUPS, Lookup, creating
from gentrace.runtime.hooks.redis import Probe, probe
from gentrace.runtime.tracing import type_name


class LookupHook(BaseHook):
    """find_by_hash and get_cached_generation: hit, miss, or an error that looked like a miss."""

    def before(self, call: Call) -> Observed | None:
        if creating.get() is None:
            return None
        state = self.inside(LOOKUPS[self.target.role][0])
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
            self.engine.store.runs.prefetch(found)  # its run is linked when the request is answered
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
        name = LOOKUPS[self.target.role][1]
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
            context.leave(reset)
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
        visibility.at_work().add_event(names.EVENT_CACHE, attributes)

    def settle(self, state: Observed) -> None:
        context.leave(state.detail["reset"])
