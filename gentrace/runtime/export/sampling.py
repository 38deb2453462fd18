"""Sampling, decided once: a run's later spans obey what its creation was given.

The sampler that the variables (or the host's provider) ask for decides on roots and on requests
with a trusted parent; whatever hangs under a span of a run, in whichever process and under
whichever sampler, is kept or dropped with it. So a run is whole or absent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState

_ROOT = re.compile(r"ParentBased\{root:(.*?),remoteParentSampled:")
_KEPT = otel_context.create_key("gentrace.sampled")


def as_decided(sampled: bool, context: Context) -> Context:
    """The context of a root that belongs to a run: sampled as that is."""
    return otel_context.set_value(_KEPT, sampled, context)


class Decided(Sampler):
    """Asks the sampler given where nothing is decided yet."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context).get_span_context()
        if not parent.is_valid:
            kept = otel_context.get_value(_KEPT, parent_context)
        else:
            kept = parent.trace_flags.sampled if kind is not SpanKind.SERVER else None
        if kept is None:
            return self._sampler.should_sample(
                parent_context, trace_id, name, kind, attributes, links, trace_state
            )
        decision = Decision.RECORD_AND_SAMPLE if kept else Decision.DROP
        return SamplingResult(decision, attributes if kept else None, parent.trace_state)

    def get_description(self) -> str:
        """What the SDK says of it."""
        return f"Decided{{{self._sampler.get_description()}}}"


def described(provider: Any) -> str:
    """What decides which runs are kept, in the SDK's words; empty where all of them are.

    Of a sampler that obeys parents first only the one for roots is told: it decides.
    """
    sampler = getattr(provider, "sampler", None)
    if sampler is None:
        return ""
    told = str(sampler.get_description())
    while told.startswith("Decided{"):
        told = told.removeprefix("Decided{").removesuffix("}")
    root = _ROOT.match(told)
    told = f"ParentBased{{root:{root[1]}}}" if root else told
    return "" if "AlwaysOnSampler" in told else told
