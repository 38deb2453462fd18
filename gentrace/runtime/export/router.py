"""Takes each span that ends to where the rule says at that moment (export/place.py).

The host may set a tracer provider up at any time, and add to it: the rule is asked again when
either has changed. One way is taken for each span, so none goes two ways by the change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from gentrace.core.scrub import Scrubber
from gentrace.core.settings import HOST
from gentrace.runtime import ambient
from gentrace.runtime.export import ids, place
from gentrace.runtime.export.handover import Handover
from gentrace.runtime.export.pipeline import Pipeline
from gentrace.runtime.export.place import Place
from gentrace.runtime.process import Process


class Router(SpanProcessor):
    """Our own exporter and the host's provider behind one processor.

    Args:
        after: told of each span that the host's processors have and our exporter has not.
        changed: told when another place than before is decided on.

    Attributes:
        decided: what :attr:`place` said when it was last asked.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        process: Process,
        scrubber: Scrubber,
        after: Callable[[list[Any]], None],
        changed: Callable[[Place], None] = lambda _place: None,
    ) -> None:
        self._pipeline, self._process, self._scrubber = pipeline, process, scrubber
        self._after, self._changed = after, changed
        self._found: Any = None
        self._host: TracerProvider | None = None
        self._processors: Any = None
        self.decided = place.choose(None, pipeline.settings)
        self._handover: Handover | None = None

    @property
    def place(self) -> Place:
        """Where spans that end now go."""
        found = place.found()  # asked for each span: mostly nothing has changed
        same = found is self._found and found is self._host
        if same and (found is None or _processors(found) is self._processors):
            return self.decided
        return self._look(found)

    def _look(self, found: Any) -> Place:
        """Decide again where the provider, the one that it stands for or its processors changed."""
        provider = place.acting(found)
        host = place.sdk(provider)
        processors = None if host is None else _processors(host)
        now, then = (found, host, processors), (self._found, self._host, self._processors)
        if any(one is not other for one, other in zip(now, then, strict=True)):
            self._decide(provider)
            self._found, self._host, self._processors = now
        return self.decided

    def _decide(self, provider: Any) -> None:
        chosen = place.choose(provider, self._pipeline.settings)
        taking = chosen.takes
        if taking is None:
            self._handover = None
        elif self._handover is None or self._handover.host is not taking:
            self._handover = Handover(taking, self._scrubber, self._handed)
        before, self.decided = self.decided, chosen
        self._process.host_service = _service(taking) if chosen.where == HOST else ""
        if chosen != before:
            self._changed(chosen)

    def _handed(self, spans: list[Any]) -> None:
        if self.decided.where == HOST:
            self._after(spans)

    def is_together(self) -> bool:
        """Whether the host's own spans go where ours go, and no other way."""
        at = self.place
        return at.where == HOST and not at.apart and not ambient.is_kept_by_another()

    # -- spans -----------------------------------------------------------------------------
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Nothing to do: attributes are set by who starts the span."""

    def on_end(self, span: Any) -> None:
        """Take it where it goes; never raises."""
        where, handover = self.place.where, self._handover
        if handover is not None:
            handover.hand(span)
        if where != HOST:
            self._pipeline.on_end(span)

    def put(self, span: Any, done: Callable[[bool], None] | None = None) -> None:
        """Take a span that was made whole; ``done`` learns whether it was taken."""
        where, handover = self.place.where, self._handover
        taken = handover is not None and handover.hand(span)
        if where != HOST:
            self._pipeline.put(span, done)
        elif done is not None:
            done(taken)

    def shutdown(self) -> None:
        """Whoever made the pipeline shuts it down; the host does its own provider."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush what our spans have gone to."""
        flushed = self._pipeline.force_flush(timeout_millis)
        if self._handover is None:
            return flushed
        return self._handover.force_flush(timeout_millis) and flushed


class RoutedSampler(Sampler):
    """The host's sampler where the host's provider alone gets our spans, else our own."""

    def __init__(self, router: Router, own: Sampler) -> None:
        self._router, self._own = router, own

    def _at_work(self) -> Sampler:
        at = self._router.place
        return at.host.sampler if at.where == HOST and at.host is not None else self._own

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return self._at_work().should_sample(*args, **kwargs)

    def get_description(self) -> str:
        """What the SDK says of it."""
        return self._at_work().get_description()


class RoutedIds(IdGenerator):
    """The host's generator of ids where the host's provider gets our spans: it may want its own."""

    def __init__(self, router: Router) -> None:
        self._router, self._own = router, ids.OwnRandomIds()

    def _beside(self, host: TracerProvider | None) -> IdGenerator:
        return self._own if host is None else ids.beside(host.id_generator)

    def generate_span_id(self) -> int:
        """As it was decided for the sampler, who was asked just before."""
        return self._beside(self._router.decided.takes).generate_span_id()

    def generate_trace_id(self) -> int:
        return self._beside(self._router.place.takes).generate_trace_id()

    def is_trace_id_random(self) -> bool:
        return self._beside(self._router.decided.takes).is_trace_id_random()


def _processors(host: TracerProvider) -> Any:
    """What changes when somebody adds a processor."""
    return getattr(host._active_span_processor, "_span_processors", None)


def _service(host: TracerProvider | None) -> str:
    return "" if host is None else str(host.resource.attributes.get("service.name", ""))
