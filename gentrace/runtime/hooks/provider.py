"""The submission to the provider: the service's execute and the adapter's methods under it.

Adapter methods are found by pattern on the class and its mixins (hooking the abstract base's
would observe nothing), and recorded as ``<provider>.<method>`` inside the run at work.

Observed on: host revisions 2025-12-05 (synchronous SDK in threads) and 2026-07-02.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Any

from gentrace.core import names
from gentrace.core.run.times import Event, Kind
from gentrace.runtime import context, reading
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.submission import Submission, under_way

ASKED = {names.OPERATION: "operation", names.PROVIDER: "provider", names.MODEL: "model"}
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
        asked = {name: self.text(key, call) for name, key in ASKED.items()}
        account = self.text("account", call)
        state = self.for_run(run, names.PROVIDER_EXECUTE, {**asked, names.ACCOUNT_ID: account})
        if state.span is not None:
            state.detail["submission"] = submission = Submission(run, state.span)
            state.detail["reset"] = under_way.set(submission)
            run.parent = state.span.get_span_context()
            state.detail["attempt"] = run.attempts
            self.engine.store.note(
                run,
                events=(Event(Kind.SUBMITTING, time.time_ns(), run.attempts),),
                counts={names.ATTEMPTS: 1},
                facts={
                    names.ACCOUNT_ID: account or None,
                    names.PROVIDER_STATUS: None,
                    names.PROVIDER_PROGRESS: None,
                },
                asked={name: told for name, told in asked.items() if told},
                executed=f"{run.parent.span_id:016x}",
                stage="submitted",
                urgent=True,  # who dies in here has submitted, for all that is known
            )
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
        status = self.text("status", call, result)
        over = status is not None and status.lower() not in self.engine.profile.provider_pending
        if status is not None:
            state.span.set_attribute(names.PROVIDER_STATUS, self.tracing.word(status, state.run))
            state.span.set_attribute(names.PROVIDER_OVER, over)
        self._attempt(state, self.value("attempt", call, result))
        self._note(state, self.text("provider_job", call, result), {}, over)

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        super().failed(state, call, exc)
        self._attempt(state, None)
        facts: dict[str, Any] = {**self.tracing.run_facts(exc, state.run)}
        status = state.detail["submission"].http_status() if isinstance(exc, Exception) else None
        if status is not None and state.span is not None:
            state.span.set_attribute(names.ERROR_HTTP_STATUS, status)
            facts[names.ERROR_HTTP_STATUS] = status
        self._note(state, None, facts)

    def settle(self, state: Observed) -> None:
        if "reset" in state.detail:
            context.leave(state.detail["reset"])
        super().settle(state)

    def _note(
        self, state: Observed, job: str | None, facts: dict[str, Any], over: bool = False
    ) -> None:
        """Tell the store how the submission ended: with a job at the provider, or without.

        Args:
            over: the call was answered with a final status (a synchronous provider's is).
        """
        run = state.run
        if run is None or "attempt" not in state.detail:
            return
        kinds = [Kind.NOT_SUBMITTED if job is None and not over else Kind.SUBMITTED]
        kinds += [Kind.PROVIDER_DONE] if over else []
        at_ns, attempt = time.time_ns(), state.detail["attempt"]
        if job is not None:
            facts = {**facts, names.PROVIDER_JOB_ID: job}
            if run.generation_id is not None:
                self.engine.store.learn("provider", job, run.generation_id)
        self.engine.store.note(
            run,
            events=tuple(Event(kind, at_ns, attempt) for kind in kinds),
            facts=facts,
            stage="provider" if over else "",
        )

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
        context.leave(state.detail["reset"])
        super().settle(state)
