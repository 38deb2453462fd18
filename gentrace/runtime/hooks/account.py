"""Account selection, reservation and release, and the credit check, inside a run's work.

These functions know no generation; they belong to the scope that is open. Where none is, nothing
is recorded. A reservation inside a selection is part of it.

Observed on: host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from opentelemetry import trace

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, Observed

selecting: ContextVar[bool] = ContextVar("gentrace.selecting", default=False)


class AccountHook(BaseHook):
    """select_and_reserve_account and its kin: one account.select span, the outermost call's."""

    def before(self, call: Call) -> Observed | None:
        if selecting.get():
            return None
        state = self.inside(names.ACCOUNT_SELECT, {names.ACCOUNT_CALL: self.target.name})
        if state is not None:
            state.detail["reset"] = selecting.set(True)
        return state

    def after(self, state: Observed, call: Call, result: Any) -> None:
        account = self.text("account", call, result) if result is not None else None
        if account is not None and state.span is not None:
            state.span.set_attribute(names.ACCOUNT_ID, account)

    def settle(self, state: Observed) -> None:
        reset = state.detail.get("reset")
        if reset is not None:
            selecting.reset(reset)
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


class CreditsHook(BaseHook):
    """refresh_account_credits (asks the provider) and has_sufficient_credits (the check)."""

    def before(self, call: Call) -> Observed | None:
        if context.recording() is None:
            return None
        return self.inside(
            names.ACCOUNT_CREDITS,
            {
                names.ACCOUNT_CALL: self.target.name,
                names.ACCOUNT_ID: self.text("account", call),
            },
        )

    def after(self, state: Observed, call: Call, result: Any) -> None:
        sufficient = self.value("sufficient", call, result)
        if isinstance(sufficient, bool) and state.span is not None:
            state.span.set_attribute(names.CREDITS_SUFFICIENT, sufficient)
