"""The host's own pauses, as its log tells of them: spans made up for the tree, as none was written.

The event says for how long; what the span then did next says whether it was cut short.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from gentrace.analysis.timeline import span_ns
from gentrace.core import names
from gentrace.core.spans import Span

PAUSE = "pause: "


def pauses(spans: Sequence[Span]) -> list[Span]:
    """A span for each pause, under the one that logged it, by the event's name."""
    if not any(names.PAUSE in event.attributes for span in spans for event in span.events):
        return []
    starts: dict[str, list[int]] = defaultdict(list)
    for span in spans:
        starts[span.parent_id].append(span.start_ns)
    return [
        _pause(span, number, starts[span.span_id])
        for span in spans
        for number, event in enumerate(span.events)
        if span_ns(event.attributes.get(names.PAUSE)) > 0
    ]


def _pause(span: Span, number: int, starts: Sequence[int]) -> Span:
    """The pause of the span's event of that number: over, at the latest, when something starts."""
    event = span.events[number]
    until_ns = event.at_ns + span_ns(event.attributes[names.PAUSE])
    ends = [start_ns for start_ns in starts if start_ns > event.at_ns]
    if not span.open:
        ends.append(max(span.end_ns, event.at_ns))
    return Span(
        trace_id=span.trace_id,
        span_id=f"{span.span_id}-{number}",
        parent_id=span.span_id,
        name=PAUSE + event.name,
        start_ns=event.at_ns,
        end_ns=min([until_ns, *ends]),
        service=span.service,
        instance=span.instance,
        resource=span.resource,
    )
