"""Our own tracer provider, never set globally, made so that no variable can keep it from us."""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from gentrace.runtime import notices
from gentrace.runtime.export.ids import OwnRandomIds
from gentrace.runtime.export.quiet import quietly
from gentrace.runtime.export.router import RoutedIds, RoutedSampler, Router
from gentrace.runtime.export.sampling import Decided

_USUAL = 128  # OpenTelemetry's own default for every count


def routed_provider(router: Router) -> TracerProvider:
    """A provider that samples and numbers as the place does that its spans go to."""
    provider = own_provider(router, RoutedIds(router))
    provider.sampler = Decided(RoutedSampler(router, provider.sampler))
    return provider


def own_provider(processor: SpanProcessor, ids: IdGenerator | None = None) -> TracerProvider:
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
            id_generator=ids or OwnRandomIds(),
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
