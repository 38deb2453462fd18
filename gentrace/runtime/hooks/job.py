"""A generation's job when it is called directly, without an ARQ worker around it.

Inside a worker the try is recorded there (hooks/arq_job.py), where its true outcome is known.

Observed on: host revisions 2025-12-05 and 2026-07-02.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import SpanKind

from gentrace.core import names
from gentrace.runtime import context
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.guard import Call
from gentrace.runtime.hooks.arq_outcome import working
from gentrace.runtime.hooks.base import BaseHook, Observed
from gentrace.runtime.tracing import below


class JobHook(BaseHook):
    """process_generation and other jobs that name their generation."""

    waits = True

    def before(self, call: Call) -> Observed | None:
        generation_id = self.text("id", call)
        if working.get() is not None or generation_id is None:
            return None
        run = context.find(generation_id)
        if run is None and self.engine.store.runs.is_unsure(generation_id):
            return None  # it has a trace, which is not known yet
        if run is None:
            run = Run(generation_id, owned=True, adopted=True)
            context.remember(run)
        function = self.target.at[0].rpartition(":")[2].rpartition(".")[2]
        span = self.tracing.start(
            self.engine.profile.span_of(function),
            run,
            parent=below(run.parent),
            kind=SpanKind.CONSUMER,
            attributes={
                names.CODE_FUNCTION: self.engine.profile.host_function(function),
                names.INCOMPLETE: [names.ADOPTED] if run.adopted else None,
            },
        )
        run.parent = span.get_span_context()
        self.engine.store.save(run)
        scope = Scope("job", run, f"job:{self.target.name}")
        return Observed(run, span, scope, context.enter(scope, span), owns_scope=True)

    def after(self, state: Observed, call: Call, result: Any) -> None:
        for name, key in ((names.JOB_STATUS, "status"), (names.JOB_REASON, "reason")):
            value = self.text(key, call, result)
            if value is not None and state.span is not None:
                state.span.set_attribute(name, self.tracing.scrubber.text(value))
