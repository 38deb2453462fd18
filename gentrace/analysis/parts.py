"""The spans of one run sorted by what they say: the one place that knows their names."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gentrace.analysis.unwritten import stand_ins
from gentrace.core import names
from gentrace.core.profile import Statuses
from gentrace.core.spans import Span, nearest

OWN_ENQUEUE = names.ENQUEUE_PREFIX + names.PROCESS_GENERATION
SKIPPED = "skipped"
NEVER_RAN = frozenset({"expired", "corrupt", "not_found", "max_tries"})
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
        return self._by_name.get(name, [])

    @cached_property
    def _by_name(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            found[span.name].append(span)
        return dict(found)

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
        """The tries that ran and did not skip the generation, those not written yet among them."""
        found = [*self.named(names.PROCESS_GENERATION)]
        found += [s for s in stand_ins(self.spans) if s.name == names.PROCESS_GENERATION]
        found.sort(key=lambda span: span.start_ns)
        return [
            span
            for span in found
            if span.text(names.JOB_STATUS) != SKIPPED
            and span.text(names.JOB_OUTCOME) not in NEVER_RAN
        ]

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
        changes = [*self.status_changes()]
        moments = _moments(changes)
        found = [_final(span, moments) for span in self.named(names.FINISH)]
        if not any(found):
            found = [
                Final(outcome, at_ns, at_ns)
                for at_ns, told in changes
                if (outcome := _outcome(told)) is not None
            ]
        return sorted((f for f in found if f is not None), key=lambda final: final.at_ns)

    def status_changes(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """When each status was set, and what is told of it: by an event, or a span of its own."""
        for span in self.spans:
            if span.name == names.STATUS_CHANGE and not span.failed:
                yield span.last_ns, span.attributes
            for event in span.events:
                if event.name == names.EVENT_STATUS:
                    yield event.at_ns, event.attributes

    @cached_property
    def final(self) -> Final | None:
        """The final status that the run ended with; None while it goes on.

        A `failed` that was followed by another enqueue, try or status was put back.
        """
        if not self.finals:
            return None
        last = self.finals[-1]
        return None if self._went_on(last) else last

    def _went_on(self, last: Final) -> bool:
        """Whether the run has a life after that end.

        A try that was queued before it and did nothing, having found the run over, is none.
        """
        if any(span.start_ns > last.from_ns for span in (*self.enqueues, *self.executes)):
            return True
        changes = self.status_changes()
        if any(at_ns > last.at_ns and _outcome(told) is None for at_ns, told in changes):
            return True
        later = [job for job in self.jobs if job.start_ns > last.from_ns]
        queued = {span.span_id for span in self.enqueues}
        return any(job.parent_id not in queued for job in later)

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

    @cached_property
    def jobs_above(self) -> dict[str, Span]:
        """Of each span the job that it was made in, by the span's id; of a job itself."""
        parents = {span.span_id: span.parent_id for span in self.spans}
        jobs = {span.span_id: span for span in self.named(names.PROCESS_GENERATION)}
        return nearest(parents, jobs)

    def below(self, span: Span) -> list[Span]:
        """The spans that hang under it, at whatever depth, in no order."""
        found: list[Span] = []
        seen = {span.span_id}
        waiting = [span.span_id]
        while waiting:
            for child in self._children.get(waiting.pop(), ()):
                if child.span_id not in seen:
                    seen.add(child.span_id)
                    found.append(child)
                    waiting.append(child.span_id)
        return found

    def children(self, span: Span) -> Sequence[Span]:
        """The spans that hang right under it, by start."""
        return self._children.get(span.span_id, ())

    @cached_property
    def _children(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            found[span.parent_id].append(span)
        return found

    def last(self, name: str, spans: Sequence[Span] | None = None) -> str | None:
        """The last value of an attribute over the run's spans, as text."""
        chosen = self.spans if spans is None else spans
        return next((text for s in reversed(chosen) if (text := s.text(name)) is not None), None)

    def first(self, name: str) -> str | None:
        """What the run span says of an attribute, else the first span that has it, as text."""
        ordered = [self.run, *self.spans] if self.run else self.spans
        return next((text for s in ordered if s and (text := s.text(name)) is not None), None)


def _outcome(told: Mapping[str, Any]) -> str | None:
    """The outcome that a status change means; None where the status is not final."""
    outcome = told.get(names.OUTCOME)
    if outcome is None and told.get(names.STATUS) in _FINAL:
        outcome = told[names.STATUS]
    return None if outcome is None else str(outcome)


def _moments(changes: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, list[int]]:
    """When each outcome was set, ascending."""
    found: dict[str, list[int]] = defaultdict(list)
    for at_ns, told in sorted(changes, key=lambda change: change[0]):
        if (outcome := _outcome(told)) is not None:
            found[outcome].append(at_ns)
    return dict(found)


def _final(span: Span, moments: Mapping[str, Sequence[int]]) -> Final | None:
    outcome = span.text(names.OUTCOME)
    if outcome is None or (span.failed and span.text(names.ERROR_TYPE)):
        return None  # nothing final, or setting it raised
    set_ns = moments.get(outcome, ())
    before = bisect_right(set_ns, span.last_ns)
    committed = before and set_ns[before - 1] >= span.start_ns
    return Final(outcome, set_ns[before - 1] if committed else span.last_ns, span.start_ns)
