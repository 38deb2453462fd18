"""Our own tracer provider, never set globally, made so that no variable can keep it from us."""

from __future__ import annotations

from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider

from gentrace.runtime import notices
from gentrace.runtime.export.quiet import quietly

_USUAL = 128  # OpenTelemetry's own default for every count


def own_provider(processor: SpanProcessor) -> TracerProvider:
    """A provider whose spans go to that processor; the sampler is what the variables ask for.

    Where a variable for the limits is no number, the SDK refuses to make a provider: then the
    limits are OpenTelemetry's defaults, and that is said.
    """
    with quietly():
        provider = TracerProvider(shutdown_on_exit=False, span_limits=_limits())
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
