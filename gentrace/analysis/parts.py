"""The spans of one run sorted by what they say: the one place that knows their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gentrace.analysis.unwritten import stand_ins
from gentrace.core import names
from gentrace.core.profile import Statuses
from gentrace.core.spans import Span

OWN_ENQUEUE = names.ENQUEUE_PREFIX + names.PROCESS_GENERATION
SKIPPED = "skipped"
_FINAL = Statuses().final
_LIFECYCLE = frozenset(
    {names.RUN, names.CREATE_GENERATION, names.PROCESS_GENERATION, names.FINISH, OWN_ENQUEUE}
)


@dataclass(frozen=True, slots=True)
class Final:
    """A final status that was reached.

    Attributes:
        at_ns: when it was committed, as far as the spans know.
        from_ns: when the host began to set it.
    """

    outcome: str
    at_ns: int
    from_ns: int


@dataclass(frozen=True)
class Parts:
    """Views of one run's spans, each by start. Only the job's own enqueues and tries count."""

    spans: Sequence[Span]

    def named(self, name: str) -> list[Span]:
        """The spans of that name, by start."""
        return [span for span in self.spans if span.name == name]

    @cached_property
    def by_id(self) -> dict[str, Span]:
        """The spans by id."""
        return {span.span_id: span for span in self.spans}

    @cached_property
    def run(self) -> Span | None:
        """The run span, once it is written."""
        return next(iter(self.named(names.RUN)), None)

    @cached_property
    def create(self) -> Span | None:
        """The host's creation call."""
        return next(iter(self.named(names.CREATE_GENERATION)), None)

    @cached_property
    def server(self) -> Span | None:
        """The request that made the run (later requests about it are not it)."""
        servers = [span for span in self.spans if span.kind == "SERVER"]
        if self.create is not None:
            above = {span.span_id for span in self.ancestors(self.create)}
            servers = [span for span in servers if span.span_id in above]
        elif len(self.spans) > len(servers):
            first = min(span.start_ns for span in self.spans if span.kind != "SERVER")
            servers = [span for span in servers if span.start_ns <= first]
        return next(iter(servers), None)

    @cached_property
    def enqueues(self) -> list[Span]:
        """Enqueues that put the job on the queue, or tried to and failed."""
        found = self.named(OWN_ENQUEUE)
        queued = [s for s in found if s.text(names.ENQUEUE_OUTCOME) not in ("duplicate", "leased")]
        return queued if queued else found[:1]

    @cached_property
    def jobs(self) -> list[Span]:
        """The tries that did not skip the generation, those not written yet among them."""
        found = [*self.named(names.PROCESS_GENERATION)]
        found += [s for s in stand_ins(self.spans) if s.name == names.PROCESS_GENERATION]
        found.sort(key=lambda span: span.start_ns)
        return [span for span in found if span.text(names.JOB_STATUS) != SKIPPED]

    @cached_property
    def executes(self) -> list[Span]:
        """The submissions to the provider."""
        return self.named(names.PROVIDER_EXECUTE)

    @cached_property
    def polls(self) -> list[Span]:
        """The polls that were worth a span."""
        return self.named(names.PROVIDER_POLL)

    @cached_property
    def finals(self) -> list[Final]:
        """Every final status that was reached, the last one last."""
        found = [_final(span) for span in self.named(names.FINISH)]
        if not any(found):
            found = [
                Final(str(event.attributes[names.STATUS]), event.at_ns, event.at_ns)
                for span in self.spans
                for event in span.events
                if event.name == names.EVENT_STATUS and event.attributes.get(names.STATUS) in _FINAL
            ]
        return sorted((f for f in found if f is not None), key=lambda final: final.at_ns)

    @cached_property
    def final(self) -> Final | None:
        """The final status that the run ended with; None while it goes on.

        A `failed` that was followed by another enqueue or try was put back.
        """
        if not self.finals:
            return None
        last = self.finals[-1]
        went_on = any(span.start_ns > last.from_ns for span in (*self.enqueues, *self.jobs))
        return None if went_on else last

    @property
    def of_a_run(self) -> bool:
        """Whether these spans tell of a run, and not only of something done for one later."""
        return any(span.name in _LIFECYCLE for span in self.spans)

    def ancestors(self, span: Span) -> list[Span]:
        """The known parents of a span, nearest first."""
        found: list[Span] = []
        seen = {span.span_id}
        while (parent := self.by_id.get(span.parent_id)) and parent.span_id not in seen:
            seen.add(parent.span_id)
            found.append(parent)
            span = parent
        return found

    def last(self, name: str, spans: Sequence[Span] | None = None) -> str | None:
        """The last value of an attribute over the run's spans, as text."""
        chosen = self.spans if spans is None else spans
        return next((text for s in reversed(chosen) if (text := s.text(name)) is not None), None)

    def first(self, name: str) -> str | None:
        """What the run span says of an attribute, else the first span that has it, as text."""
        ordered = [self.run, *self.spans] if self.run else self.spans
        return next((text for s in ordered if s and (text := s.text(name)) is not None), None)


def _final(span: Span) -> Final | None:
    outcome = span.text(names.OUTCOME)
    if outcome is None or (span.failed and span.text(names.ERROR_TYPE)):
        return None  # nothing final, or setting it raised
    committed = [
        event.at_ns
        for event in span.events
        if event.name == names.EVENT_STATUS and event.attributes.get(names.STATUS) == outcome
    ]
    return Final(outcome, committed[-1] if committed else span.last_ns, span.start_ns)
