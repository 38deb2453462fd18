"""Account selection, reservation and release, and the credit check, inside a run's work.

These functions know no generation; they belong to the scope that is open. Where none is, nothing
is recorded. A reservation inside a selection is part of it. In a job that has no span yet
(hooks/arq_job.py) they get theirs when it does.

Observed on: host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, Observed

_MAX_LATER = 20
selecting: ContextVar[bool] = ContextVar("gentrace.selecting", default=False)


class _InAJob(BaseHook):
    """A call inside a job, which may get its span later."""

    def observe(self, name: str, attributes: Mapping[str, Any]) -> Observed | None:
        """A span in the open scope; in a job without one, what it takes to make it later."""
        scope = context.current()
        if scope is None or scope.kind != "job" or not scope.silent or scope.span is not None:
            return self.inside(name, attributes)
        state = Observed(scope.run, None, scope)
        state.detail["later"] = {**attributes}
        state.detail["since"] = name, time.time_ns()
        return state

    def describe(self, state: Observed, name: str, value: Any) -> None:
        """Say that on the span, be it made later."""
        if state.span is not None:
            state.span.set_attribute(name, value)
        elif "later" in state.detail:
            state.detail["later"][name] = value

    def settle(self, state: Observed) -> None:
        scope = state.scope
        if "later" in state.detail and scope is not None and len(scope.untold) < _MAX_LATER:
            (name, start_ns), end_ns = state.detail["since"], time.time_ns()

            def tell() -> None:
                span = self.tracing.start(
                    name,
                    state.run,
                    parent=context.span_context(scope),
                    start_ns=start_ns,
                    attributes=state.detail["later"],
                )
                self.tracing.end(span, state.run, end_ns)

            scope.untold.append(tell)
        super().settle(state)


class AccountHook(_InAJob):
    """select_and_reserve_account and its kin: one account.select span, the outermost call's."""

    def before(self, call: Call) -> Observed | None:
        if selecting.get():
            return None
        state = self.observe(names.ACCOUNT_SELECT, {names.ACCOUNT_CALL: self.target.name})
        if state is not None:
            state.detail["reset"] = selecting.set(True)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        account = self.text("account", call, result) if result is not None else None
        if account is not None:
            self.describe(state, names.ACCOUNT_ID, account)
        if account is not None and state.run is not None:
            scope = context.current()
            # looked at by a request or a creation to see who could pay, nothing has begun with it
            stage = "account" if scope is not None and scope.kind == "job" else ""
            self.engine.store.note(state.run, facts={names.ACCOUNT_ID: account}, stage=stage)

    def settle(self, state: Observed) -> None:
        reset = state.detail.get("reset")
        if reset is not None:
            context.leave(reset)
        super().settle(state)


class AccountReleaseHook(BaseHook):
    """release_account: an event on the span at work."""

    def before(self, call: Call) -> Observed | None:
        return Observed() if context.recording() is not None else None

    def after(self, state: Observed, call: Call, result: Any) -> None:
        account = self.text("account", call, result)
        attributes = {names.ACCOUNT_ID: account} if account is not None else {}
        at_work = trace.get_current_span(context.span_context())
        at_work.add_event(names.EVENT_ACCOUNT_RELEASED, attributes)


class CreditsHook(_InAJob):
    """refresh_account_credits (asks the provider) and has_sufficient_credits (the check)."""

    def before(self, call: Call) -> Observed | None:
        return self.observe(
            names.ACCOUNT_CREDITS,
            {
                names.ACCOUNT_CALL: self.target.name,
                names.ACCOUNT_ID: self.text("account", call),
            },
        )

    def after(self, state: Observed, call: Call, result: Any) -> None:
        sufficient = self.value("sufficient", call, result)
        if isinstance(sufficient, bool):
            self.describe(state, names.CREDITS_SUFFICIENT, sufficient)
