"""One run: its spans, what was asked of whom, how far it got, how it ended and where time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gentrace.analysis import failures, stages, timeline
from gentrace.analysis.failures import Place
from gentrace.analysis.parts import Parts
from gentrace.core import names
from gentrace.core.run.times import State, Times
from gentrace.core.spans import Span, Trace, plain

_DERIVED = ("outcome", "times")


@dataclass(frozen=True)
class Run:
    """One run of a generation, or one request that made none.

    Attributes:
        id: the generation's id; None for a request that was refused or answered by another run.
        number: 1 for the first run of the generation.
        trace: the whole trace; :attr:`parts` holds this run's share of it.
    """

    id: str | None
    number: int
    trace: Trace
    parts: Parts

    def as_number(self, number: int) -> Run:
        """The same run with another number, and what is worked out of it already."""
        other = Run(self.id, number, self.trace, self.parts)
        vars(other).update({name: told for name, told in vars(self).items() if name in _DERIVED})
        return other

    @property
    def trace_id(self) -> str:
        """Hex id of the run's trace."""
        return self.trace.trace_id

    @cached_property
    def outcome(self) -> str | None:
        """The status it ended with; None while it goes on and for a request without a run."""
        if self.parts.run is not None:
            told = self.parts.run.text(names.OUTCOME)
            if told is not None:
                return told
        return self.parts.final.outcome if self.parts.final else None

    @cached_property
    def times(self) -> Times:
        """Where the time went; sums to :attr:`duration_ns` once it has ended."""
        return timeline.times(self.parts)

    @property
    def start_ns(self) -> int:
        """When it was received, Unix ns."""
        return self.times.start_ns or self.trace.start_ns

    @property
    def duration_ns(self) -> int | None:
        """Received to final status; None while it goes on."""
        return self.times.total_ns if self.outcome is not None else None

    @property
    def last_ns(self) -> int:
        """The last sign of life, Unix ns."""
        return max((span.last_ns for span in self.parts.spans), default=self.start_ns)

    @property
    def state(self) -> State | None:
        """What it is doing, as far as its spans know; None once it has ended."""
        return None if self.outcome is not None or self.id is None else self.times.state

    @property
    def operation(self) -> str | None:
        """What was asked."""
        return self.parts.first(names.OPERATION)

    @property
    def provider(self) -> str | None:
        """Of whom."""
        return self.parts.first(names.PROVIDER)

    @property
    def model(self) -> str | None:
        """With which of the provider's models."""
        return self.parts.first(names.MODEL)

    @property
    def user(self) -> str | None:
        """The user's id."""
        return self.parts.first(names.USER_ID)

    @property
    def account(self) -> str | None:
        """The last provider account's id."""
        run = self.parts.run
        return (run.text(names.ACCOUNT_ID) if run else None) or self.parts.last(names.ACCOUNT_ID)

    @property
    def returned_id(self) -> str | None:
        """The existing generation that answered the request, when one did."""
        return self.parts.first(names.RETURNED_ID) if self.id is None else None

    @property
    def returned_status(self) -> str | None:
        """Its status at that moment."""
        return self.parts.first(names.RETURNED_STATUS) if self.id is None else None

    @property
    def http_status(self) -> int | None:
        """The status code that the creating request was answered with."""
        server = self.parts.server
        for name in ("http.response.status_code", "http.status_code"):
            if server is not None and isinstance(server.attributes.get(name), int):
                return int(server.attributes[name])
        return None

    @cached_property
    def failure(self) -> Span | None:
        """The span where the failure began: failing, with no failing span of the host below it.

        None for a run that ended otherwise; what was retried and then went well is no error.
        """
        if self.outcome not in ("failed", None):
            return None
        failed = [s for s in self.parts.spans if s.failed and s.kind not in ("CLIENT", "SERVER")]
        above = {span.parent_id for span in failed}
        leaves = [
            span for span in failed if span.span_id not in above and span is not self.parts.run
        ]
        chosen = [span for span in leaves if span.name != names.FINISH] or leaves
        if not chosen and self.id is None:
            chosen = [span for span in self.parts.spans if span.failed]
        return max(chosen, key=lambda span: span.last_ns, default=None)

    @property
    def error_code(self) -> str | None:
        """The host's code for the failure."""
        return self._error(names.ERROR_CODE)

    @property
    def error_type(self) -> str | None:
        """The exception or provider class of the failure; the host's code where none was raised."""
        told = self._error(names.ERROR_TYPE)
        return self.error_code if told is None and self.outcome is not None else told

    @property
    def error_cause(self) -> str | None:
        """The type of the exception that the failure began with; another than :attr:`error_type`
        where that was raised from it."""
        return self._error(names.ERROR_CAUSE)

    @property
    def error_http_status(self) -> int | None:
        """The status of the failed submission's last HTTP call, if that was refused."""
        told = self._error(names.ERROR_HTTP_STATUS)
        return int(told) if told is not None and told.isdecimal() and len(told) == 3 else None

    @property
    def error_place(self) -> Place | None:
        """Where in the host's code the failure began."""
        found = (failures.place(span) for span in self._failing)
        return next((place for place in reversed([*found]) if place is not None), None)

    @property
    def error_message(self) -> str | None:
        """The scrubbed message of the failure: words where any may be shown, else their mark."""
        told = self._error(names.ERROR_MESSAGE)
        return told if told is not None else failures.message(self._failing)

    @cached_property
    def _failing(self) -> list[Span]:
        """The spans that the failure passed, the outermost first, :attr:`failure` last."""
        if self.failure is None:
            return []
        above = self.parts.ancestors(self.failure)
        apart = (self.parts.run, self.parts.server)
        passed = [span for span in above if span.failed and not any(span is each for each in apart)]
        return [*reversed(passed), self.failure]

    def _error(self, name: str) -> str | None:
        """What the run span says, else the final status, else the outermost span that says it."""
        if self.outcome not in ("failed", None):
            return None
        told = self.parts.run.text(name) if self.parts.run else None
        if told == names.FAILED:  # the run span's word for a failure without a type
            told = None
        if told is None and self.outcome is not None:
            told = self.parts.last(name, self.parts.named(names.FINISH))
        if told is None and (self.parts.run is None or name in failures.OF_ANY_SPAN):
            told = next((text for s in self._failing if (text := s.text(name)) is not None), None)
        return told

    @property
    def stage(self) -> str | None:
        """How far it got, one of :data:`stages.STAGES`; None for a request that made no run."""
        if self.id is None:
            return None
        told = self.parts.run.text(names.STAGE) if self.parts.run is not None else None
        if told is not None:
            return told
        return "finished" if self.outcome == names.COMPLETED else stages.reached(self.parts)

    @property
    def incomplete(self) -> set[str]:
        """What gentrace knows to be missing from the spans (store, worker_died, adopted, …)."""
        told = (span.attributes.get(names.INCOMPLETE) for span in self.parts.spans)
        lists: list[Any] = [t if isinstance(t, list) else [t] for t in told if t is not None]
        return {plain(item) for items in lists for item in items}

    def count(self, name: str, spans: Sequence[Span]) -> int:
        """A count as the run span gives it, else the number of spans."""
        told = self.parts.run.attributes.get(name) if self.parts.run else None
        return int(told) if isinstance(told, int) else len(spans)

    def values(self, name: str) -> set[str]:
        """Every value that an attribute (or a resource attribute) has on the run's spans."""
        found: set[str] = set()
        for span in self.parts.spans:
            for holder in (span.attributes, span.resource):
                value: Any = holder.get(name)
                if value is not None:
                    found.add(plain(value))
        return found
