"""What most hooks do: one span around the host's call, inside the scope that is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import Link, Span, SpanKind

from gentrace.core import names
from gentrace.core.profile import Target
from gentrace.runtime import context, reading, visibility
from gentrace.runtime.context import Run, Scope
from gentrace.runtime.engine import Engine
from gentrace.runtime.guard import Call
from gentrace.runtime.tracing import link, under


@dataclass(eq=False, slots=True)
class Observed:
    """One observed call: its run, span, and what has to be undone afterwards."""

    run: Run | None = None
    span: Span | None = None
    scope: Scope | None = None
    token: Any = None
    owns_scope: bool = False
    detail: dict[str, Any] = field(default_factory=dict[str, Any])


class BaseHook:
    """A hook that observes nothing; roles override what they need."""

    waits = False

    def __init__(self, engine: Engine, target: Target, label: str) -> None:
        self.engine, self.target, self.label = engine, target, label
        self.tracing = engine.tracing

    async def prepare(self, call: Call) -> None:
        """At first sight of a generation in this process: the store's one read."""
        await self.engine.store.runs.find(self.text("id", call))

    def before(self, call: Call) -> Observed | None:
        return None

    def after(self, state: Observed, call: Call, result: Any) -> None:
        return

    def failed(self, state: Observed, call: Call, exc: BaseException) -> None:
        if state.span is not None:
            self.tracing.fail(state.span, exc, state.run)

    def settle(self, state: Observed) -> None:
        """End the span and leave the context; runs whatever happened before."""
        if state.token is not None:
            context.leave(state.token)
        if state.owns_scope and state.scope is not None:
            state.scope.close()
        if state.span is not None:
            self.tracing.end(state.span, state.run)

    # -- helpers ---------------------------------------------------------------------------
    def text(
        self, key: str, call: Call, result: Any = None, error: BaseException | None = None
    ) -> str | None:
        """What the target reads under ``key``, as a short string."""
        return reading.read_text(self.target, key, call, result, error)

    def value(self, key: str, call: Call, result: Any = None) -> Any:
        """What the target reads under ``key``."""
        return reading.read(self.target, key, call, result)

    def inside(self, name: str, attributes: Mapping[str, Any] | None = None) -> Observed | None:
        """A span in the open scope, made current; None where nothing is recorded."""
        scope = context.recording()
        if scope is None:
            return None
        span = self.tracing.start(name, scope.run, attributes=attributes)
        return Observed(scope.run, span, scope, context.enter(scope, span))

    def for_run(
        self,
        run: Run,
        name: str,
        attributes: Mapping[str, Any],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        start_ns: int | None = None,
    ) -> Observed:
        """A span in the generation's own trace, whoever is at work.

        Inside a scope of that run it hangs under the current span; elsewhere under the run's
        last known span, named by its caller and linked to the request where that is kept.
        """
        scope = context.current()
        if scope is not None and scope.run is run:
            if scope.silent and scope.span is None and scope.reveal is not None:
                scope.reveal()
            span = self.tracing.start(
                name, run, kind=kind, start_ns=start_ns, attributes=attributes
            )
            return Observed(run, span, scope, context.enter(scope, span))
        caller = scope.caller if scope is not None else ""
        parent, links = under(run)
        span = self.tracing.start(
            name,
            run,
            parent=parent,
            kind=kind,
            start_ns=start_ns,
            attributes={**attributes, names.CALLER: caller or None},
            links=[*links, *request_links()],
        )
        inner = Scope("call", run, caller)
        return Observed(run, span, inner, context.enter(inner, span), owns_scope=True)


def request_links() -> list[Link]:
    """A link to the request at work, where its span is kept and is another trace's."""
    scope = context.current()
    if scope is None or scope.caller != "request":
        return []
    span = visibility.at_work()
    if not span.get_span_context().is_valid or not span.is_recording():
        return []
    return [link(span.get_span_context(), names.LINK_REQUEST)]
