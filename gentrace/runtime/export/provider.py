"""Our own tracer provider, never set globally, made so that no variable can keep it from us."""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider

from gentrace.runtime import notices
from gentrace.runtime.export.ids import OwnRandomIds
from gentrace.runtime.export.quiet import quietly
from gentrace.runtime.export.sampling import Decided

_USUAL = 128  # OpenTelemetry's own default for every count


def own_provider(processor: SpanProcessor) -> TracerProvider:
    """A provider whose spans go to that processor; the variables' sampler decides on each run.

    Where a variable for the limits is no number, the SDK refuses to make a provider: then the
    limits are OpenTelemetry's defaults, and that is said.
    """
    with quietly():
        provider = TracerProvider(
            # Spans leave with the process's own; to make one the SDK starts threads, which an
            # interpreter that is ending does not give.
            resource=Resource.get_empty(),
            shutdown_on_exit=False,
            id_generator=OwnRandomIds(),
            span_limits=_limits(),
        )
    provider.sampler = Decided(provider.sampler)
    provider.add_span_processor(processor)
    return provider


def _limits() -> SpanLimits:
    try:
        return SpanLimits()
    except ValueError as exc:
        notices.say_once("limits", f"{exc}; no limit that is set is used")
        return SpanLimits(
            max_span_attributes=_USUAL,
            max_event_attributes=_USUAL,
            max_link_attributes=_USUAL,
            max_events=_USUAL,
            max_links=_USUAL,
            max_attributes=_USUAL,
            max_attribute_length=SpanLimits.UNSET,
            max_span_attribute_length=SpanLimits.UNSET,
        )
