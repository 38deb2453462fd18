"""What each step means for the runs of a generation, taken one after another in their order.

A run is begun, goes on, ends and is taken up again here; in which order that happened is
:mod:`gentrace.core.run.order`'s matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gentrace.core import names
from gentrace.core.run.events import Died, Step, Written
from gentrace.core.run.folded import SortedOut
from gentrace.core.run.order import Placed
from gentrace.core.run.rules import Settling
from gentrace.core.run.run import STAGES, Run, root_id, run_span_id, trace_after
from gentrace.core.run.times import Event, Kind, State

_MAX_PROCESSES = 32
_MAX_LINKS = 8
_MAX_OPEN = 64
_CLOCK_NS = 10**9
_KEPT_FACTS = (names.OPERATION, names.PROVIDER, names.MODEL, names.USER_ID, names.GENERATION_HASH)


class Taking:
    """Takes what happened, in order."""

    def __init__(self, rules: Settling, traces: Mapping[int, str], folding: SortedOut) -> None:
        self._rules, self._found = rules, folding.found
        created = {
            (each.what.number, each.what.trace)
            for each in folding.placed
            if isinstance(each.what, Step) and _creates(each)
        }
        # A span that is out has its trace for good, whatever is told of the creation afterwards
        written = [e.what for e in folding.placed if isinstance(e.what, Written)]
        self._ends = {(end.number, end.trace) for end in written}
        self._written = dict(self._ends - created)
        self._created, self._traces = created, traces

    def take(self, each: Placed) -> None:
        what = each.what
        if isinstance(what, Written):
            self._pin(what)
        elif isinstance(what, Died):
            self._bury(what, each.at_ns)
        else:
            self._step(each, what)

    # -- which run -------------------------------------------------------------------------
    def _step(self, each: Placed, step: Step) -> None:
        run = self._found.current
        if run is None:
            run = self._begin(step, max(1, step.number), each)
        elif self._is_recreated(run, step, each):
            run = self._with_open(self._begin(step, 1, each), run)
        elif 0 < step.number < run.number and each.at_ns < run.times.start_ns:
            run.times.late += 1  # too late for the run that it was of
            return
        elif (earlier := self._left_open(run, step)) is not None:
            run = earlier
        elif self._is_another(run, step, each.at_ns):
            run = self._with_open(self._next(run, step, each), run)
        run.times.late += each.late
        self._take(run, step, each)

    def _left_open(self, run: Run, step: Step) -> Run | None:
        """The run before, where the step is its end: told late, by a clock that is ahead."""
        if not 0 < step.number < run.number or step.status not in self._rules.outcomes:
            return None
        earlier = self._found.numbered(step.number)
        return earlier if earlier is not None and not earlier.ended_ns else None

    @staticmethod
    def _is_recreated(run: Run, step: Step, each: Placed) -> bool:
        """Whether the host gave the id anew (a database that was reset): another generation."""
        again = _creates(each) and step.number <= 1 and step.trace not in ("", run.trace)
        return again and (run.received or run.number > 1 or run.ended_ns > 0)

    def _is_another(self, run: Run, step: Step, at_ns: int) -> bool:
        """Whether the step belongs to a run after this one, whose end has settled."""
        if step.number > run.number:
            return True
        ended_ns, rules = run.ended_ns, self._rules
        if not ended_ns or not step.status or rules.outcomes.get(step.status) == run.outcome:
            return False
        if (run.number, run.trace) in self._ends and not run.pinned_ns:
            return False  # its span is out, with a later end
        return at_ns > ended_ns + (0 if run.pinned_ns else rules.ns(run.outcome))

    def _begin(self, step: Step, number: int, each: Placed) -> Run:
        created = (step.number, step.trace) in self._created
        agreed = "" if created else self._traces.get(number, "")
        trace = self._written.get(number, "") or agreed or step.trace
        run = Run(number, trace, flags=step.flags)
        if trace == step.trace:
            run.parent = step.parent
            run.root = step.root or ("" if _creates(each) else step.parent)
        if not created:
            # The store has lost what came before, or nobody saw it
            run.incomplete.append(names.ADOPTED if step.adopted else names.NO_STORE)
        self._found.runs.append(run)
        return run

    def _next(self, before: Run, step: Step, each: Placed) -> Run:
        """The run after that one, linked to it."""
        number = max(before.number + 1, step.number)
        run = self._begin(step, number, each)
        run.incomplete.clear()
        run.reopened_by = step.status
        derived = trace_after(before.trace, number)
        if run.trace in ("", before.trace, derived):
            # Told by a process that did not know of the end: the run gets a trace of its own here
            run.trace, run.flags = derived, before.flags
            run.parent = run.root = root_id(run.trace)
        run.facts = {name: before.facts[name] for name in _KEPT_FACTS if name in before.facts}
        why = names.LINK_PREVIOUS if before.outcome == names.FAILED else names.LINK_REOPENED
        run.links.append((before.trace, run_span_id(before.trace, before.number), why))
        if not _creates(each):
            run.move(Event(Kind.RECEIVED, each.at_ns))
        return run

    @staticmethod
    def _with_open(run: Run, before: Run) -> Run:
        """The run with what the one before it left open, for whoever finds its process gone."""
        for span in before.open.values():
            run.open[span.span_id] = replace(span, trace=span.trace or before.trace)
        before.open.clear()
        return run

    # -- what it tells ---------------------------------------------------------------------
    def _take(self, run: Run, step: Step, each: Placed) -> None:
        after = 0 < run.ended_ns < each.at_ns and not step.status
        run.steps += not after
        run.received = run.received or _creates(each)
        run.heard[step.instance] = max(step.at_ns, run.heard.get(step.instance, 0))
        if step.instance not in run.processes and len(run.processes) < _MAX_PROCESSES:
            run.processes.append(step.instance)
        if abs(step.skew_ns) > _CLOCK_NS and names.CLOCK not in run.incomplete:
            run.incomplete.append(names.CLOCK)
        elsewhere = "" if step.trace in ("", run.trace) else step.trace
        if not run.trace and step.trace:
            run.trace, run.flags, elsewhere = step.trace, step.flags, ""
        if not elsewhere and step.parent:
            run.parent = step.parent
            run.root = run.root or step.root or ("" if run.received else step.parent)
        stays = len(run.stays)
        for event in each.events:
            self._move(run, step, event)
        if step.events:
            run.last_by = step.instance
        job, known = step.facts.get(names.PROVIDER_JOB_ID), run.facts.get(names.PROVIDER_JOB_ID)
        if job is not None and known is not None and job != known:
            run.replaced = [*run.replaced, known][-_MAX_LINKS:]
        run.tell(step)
        run.describe_stays(stays)
        for name, more in step.counts.items():
            run.count(name, more, after=after)
        if step.stage in STAGES:
            run.reached(STAGES.index(step.stage), after=after)
        run.incomplete += [what for what in step.incomplete if what not in run.incomplete]
        for link in step.links:
            if link not in run.links and len(run.links) < _MAX_LINKS:
                run.links.append(link)
        for span in step.opened:
            if span.span_id in run.open or len(run.open) < _MAX_OPEN:
                run.open[span.span_id] = replace(span, trace=span.trace or elsewhere)
            if span.service:
                run.services[span.instance] = (span.service, dict(span.host))
        for span_id, end_ns, more in step.ended:
            span = run.open.get(span_id)
            if span is not None:
                told = {**span.attributes, **more}
                run.open[span_id] = replace(span, end_ns=end_ns, attributes=told)
        for span_id in step.closed:
            run.open.pop(span_id, None)
        if step.enqueued:
            self._enqueued(run, step)
        if not elsewhere:
            run.root = run.root or step.root
        if step.anchor and not elsewhere:
            run.anchor = step.anchor
        if step.executed and not elsewhere:
            run.executed = step.executed
        if step.not_coming:
            run.coming.pop(step.instance, None)
        if step.coming:
            run.coming[step.instance] = (step.coming, step.at_ns)
        if step.status:
            run.coming.clear()
            self._status(run, step.status, each.at_ns)

    def _move(self, run: Run, step: Step, given: Event) -> None:
        if given.kind is Kind.PROVIDER_DONE and step.polled in run.replaced:
            return  # of a submission that another has followed
        event = self._waiting(run, step, self._numbered(run, step, given))
        if event.kind is Kind.SUBMITTING:  # what failed before was tried again
            run.forget(names.ERROR_FACTS)
        run.move(event)

    @staticmethod
    def _waiting(run: Run, step: Step, event: Event) -> Event:
        """The event with what it waits for, where only the run's story tells."""
        if not step.enqueued or not event.due_ns or event.wait is not None:
            return event
        tried = run.failed_since or run.counts.get(names.TRIES, 0) > 0
        again = tried or step.enqueued in run.enqueued  # a person only puts off the first
        return replace(event, wait=State.RETRY_WAIT if again else State.HOLD)

    @staticmethod
    def _numbered(run: Run, step: Step, event: Event) -> Event:
        """The event with the run's own number of its submission: a process counts only its own."""
        if not event.attempt:
            return event
        if event.kind is Kind.SUBMITTING:
            before = run.counts.get(names.ATTEMPTS, 0)
            run.unknown[step.instance] = before + 1 - event.attempt
        return replace(event, attempt=event.attempt + run.unknown.get(step.instance, 0))

    @staticmethod
    def _enqueued(run: Run, step: Step) -> None:
        """Count an enqueue that is one more, and follows no failure."""
        if step.enqueued in run.enqueued and not run.failed_since:
            run.counts[names.REQUEUES] = run.counts.get(names.REQUEUES, 0) + 1
        elif step.enqueued not in run.enqueued:
            run.enqueued.append(step.enqueued)
        run.failed_since = False

    # -- statuses --------------------------------------------------------------------------
    def _status(self, run: Run, status: str, at_ns: int) -> None:
        before, run.status = run.status, status
        outcome = self._rules.outcomes.get(status)
        if run.pinned_ns:
            return
        if outcome is None:
            self._goes_on(run, status, at_ns, was_held=before in self._rules.held)
            return
        if run.ended_ns and before == status:
            return  # written once more
        if run.ended_ns:
            run.count_beyond()
        run.move(Event(Kind.ENDED, at_ns))
        run.outcome = outcome
        run.failed_since = outcome == names.FAILED

    def _goes_on(self, run: Run, status: str, at_ns: int, *, was_held: bool) -> None:
        if run.ended_ns:
            # A cancel that came too late leaves its submission under way
            goes_on = State.PROVIDER_RUN if run.outcome == names.CANCELLED else None
            run.move(Event(Kind.PUT_BACK, at_ns, wait=goes_on))
            run.count_beyond()
        elif status in self._rules.held:
            run.move(Event(Kind.HELD, at_ns))
        elif was_held:
            run.move(Event(Kind.RESUMED, at_ns))

    def _pin(self, end: Written) -> None:
        """The run's span is out with that end; what comes after it begins the next run."""
        run = self._found.numbered(end.number)
        if run is None or (run.trace and run.trace != end.trace):
            return
        if run.ended_ns != end.end_ns and not run.pinned_ns:
            run.times.ended = False
            run.move(Event(Kind.ENDED, end.end_ns))
        run.pinned_ns, run.pinned_count = end.end_ns, end.count

    # -- the dead --------------------------------------------------------------------------
    def _bury(self, death: Died, at_ns: int) -> None:
        """Close what the process had open, and end what it was about to end."""
        for run in self._found.runs:
            left = run.left_by(death.instance)
            status, coming_ns = run.coming.pop(death.instance, ("", 0))
            broken = {span.name for span in left if not span.end_ns and not span.trace}
            for span in left:
                del run.open[span.span_id]
            # Nobody has told of anything since: else the generation would have been taken up again
            if status and not run.times.ended and run.times.since_ns <= coming_ns:
                self._status(run, status, coming_ns)
            else:
                broken_off = [kind for name, kind in _BREAKS_OFF.items() if name in broken]
                for kind in broken_off:
                    run.move(Event(kind, at_ns))
                if not broken_off:
                    continue
            if names.WORKER_DIED not in run.incomplete:
                run.incomplete.append(names.WORKER_DIED)


_BREAKS_OFF = {
    names.PROVIDER_EXECUTE: Kind.NOT_SUBMITTED,
    names.PROCESS_GENERATION: Kind.JOB_OVER,
}
"""What ends with a process that dies in it; another's death leaves a job alone."""


def _creates(each: Placed) -> bool:
    return any(event.kind is Kind.RECEIVED for event in each.events)
