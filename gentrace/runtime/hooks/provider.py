"""The submission to the provider: the service's execute and the adapter's methods under it.

Adapter methods are found by pattern on the class and its mixins (hooking the abstract base's
would observe nothing), and recorded as ``<provider>.<method>`` inside the run at work.

Observed on: host revisions 2025-12-05 (synchronous SDK in threads) and 2026-07-02.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from gentrace.core import names
from gentrace.runtime import context, reading
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, Observed

adapting: ContextVar[tuple[str, int] | None] = ContextVar("gentrace.adapting", default=None)


class ExecuteHook(BaseHook):
    """ProviderService.execute_generation: one attempt."""

    waits = True

    def before(self, call: Call) -> Observed | None:
        run = context.find(self.text("id", call))
        scope = context.recording()
        if run is None and scope is not None:
            run = scope.run
        if run is None:
            return None
        run.prompts = reading.read_all(self.target, "prompt", call) or run.prompts
        run.attempts += 1
        run.provider_status = None  # of an earlier attempt
        state = self.for_run(
            run,
            names.PROVIDER_EXECUTE,
            {
                names.OPERATION: self.text("operation", call),
                names.PROVIDER: self.text("provider", call),
                names.MODEL: self.text("model", call),
                names.ACCOUNT_ID: self.text("account", call),
            },
        )
        if state.span is not None:
            run.parent = state.span.get_span_context()
            self.engine.store.save(run)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        assert state.span is not None
        for name, key in (
            (names.SUBMISSION_ID, "submission"),
            (names.PROVIDER_JOB_ID, "provider_job"),
        ):
            value = self.text(key, call, result)
            if value is not None:
                state.span.set_attribute(name, value)
        self._attempt(state, self.value("attempt", call, result))

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        super().failed(state, call, exc)
        self._attempt(state, None)

    def _attempt(self, state: Observed, before: Any) -> None:
        """The host counts earlier attempts from 0; without its word, this process's count."""
        assert state.span is not None
        assert state.run is not None
        known = isinstance(before, int) and not isinstance(before, bool)
        state.span.set_attribute(names.ATTEMPT, before + 1 if known else state.run.attempts)


class AdapterHook(BaseHook):
    """A method of a provider's adapter, where the run at work is recorded."""

    def before(self, call: Call) -> Observed | None:
        working = (self.label, id(call.instance))
        if adapting.get() == working:
            return None  # an override calling the method it overrides
        state = self.inside(self.label)
        if state is not None:
            state.detail["reset"] = adapting.set(working)
        return state

    def settle(self, state: Observed) -> None:
        adapting.reset(state.detail["reset"])
        super().settle(state)
