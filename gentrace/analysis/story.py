"""One run's time told step by step: what each moment went to, by path, with its gaps named.

A path is the names of the spans from the root, whatever service they came from. What was put on a
queue begins a path of its own at its enqueue: so the second try lies on the path of the first, and
a retry on that of the request.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gentrace.analysis.critical import CriticalPath, Piece, every
from gentrace.analysis.remarks import skewed
from gentrace.analysis.runs import Run
from gentrace.analysis.stretches import Disagreement, Stretch, disagreements, stretches
from gentrace.analysis.tree import Node, build
from gentrace.core import names
from gentrace.core.run.times import State
from gentrace.core.spans import Span, depths

BETWEEN = " > "
GAP = "gap: "
CLOCK = "clock"
_SPANS_MISSING = "spans missing"
_DEEPEST = 150


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of a run's time, Unix ns, and what it went to.

    Attributes:
        path: of the span; of a gap, ``gap: `` and the state that the run was in; of a run without
            spans, the state.
        span: None where there is none.
    """

    start_ns: int
    end_ns: int
    path: str
    span: Span | None

    @property
    def took_ns(self) -> int:
        """How long."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True)
class Story:
    """One run, its tree, and where its time went.

    Attributes:
        roots: the tree, without the run span, nothing folded.
        paths: of each span, by its id.
        steps: in time order; they cover the run's time exactly.
        bare: there is nothing but the run span, which knows how long and not when.
        clock: children that start before their parents, in another process.
        disagreements: what the run span says and its spans do not bear out.
    """

    run: Run
    roots: Sequence[Node]
    paths: Mapping[str, str]
    steps: Sequence[Step]
    stretches: Sequence[Stretch]
    bare: bool
    clock: int
    disagreements: Sequence[Disagreement]

    @property
    def start_ns(self) -> int:
        """When the run began, Unix ns."""
        return self.run.start_ns

    @property
    def total_ns(self) -> int:
        """Its duration; of a run that has not ended, what is known of it so far."""
        return self.run.times.total_ns

    @property
    def incomplete(self) -> list[str]:
        """What is missing from its spans or wrong with them."""
        return sorted(self.run.incomplete | ({CLOCK} if self.clock else set()))

    def spent(self) -> dict[str, int]:
        """Nanoseconds by path; they sum to :attr:`total_ns`."""
        found: dict[str, int] = defaultdict(int)
        for step in self.steps:
            found[step.path] += step.took_ns
        return dict(found)

    def occurrences(self) -> dict[str, list[Span]]:
        """The spans by path, each by start."""
        found: dict[str, list[Span]] = defaultdict(list)
        nodes = sorted(every(self.roots), key=lambda node: node.start_ns)
        for node in nodes:
            found[self.paths[node.span.span_id]].append(node.span)
        return dict(found)

    def by_state(self) -> list[Step]:
        """The same time as steps that only know the states: what a bare run knows, too."""
        return _told(self.run)


def story(run: Run) -> Story:
    """The story of a run; never fails, whatever its spans are."""
    spans = _shallow([span for span in run.parts.spans if span.name != names.RUN])
    bare = not spans
    roots = build(spans, fold=False)
    paths = dict(_paths(roots))
    when = [] if bare else stretches(run)
    unlike = [] if bare else disagreements(run, when)
    start_ns, total_ns = run.start_ns, run.times.total_ns
    steps = _told(run)
    if not bare:
        pieces = CriticalPath(roots).between(start_ns, start_ns + total_ns)
        known = [] if unlike else when
        steps = [step for piece in pieces for step in _steps(piece, paths, known)]
    return Story(run, roots, paths, steps, when, bare, skewed(spans), unlike)


def _shallow(spans: Sequence[Span]) -> list[Span]:
    """The spans; those nested deeper than any program nests hang under the last that is not."""
    parents = {span.span_id: span.parent_id for span in spans}
    below = depths(parents)
    if max(below.values(), default=0) <= _DEEPEST:
        return list(spans)
    kept: list[Span] = []
    for span in spans:
        parent_id = span.parent_id
        while below.get(parent_id, 0) >= _DEEPEST:
            parent_id = parents[parent_id]
        kept.append(span if parent_id == span.parent_id else replace(span, parent_id=parent_id))
    return kept


def _paths(roots: Sequence[Node]) -> Iterator[tuple[str, str]]:
    waiting = [(root, "") for root in roots]
    while waiting:
        node, above = waiting.pop()
        name = node.span.name.replace(BETWEEN, " ")
        path = name if node.span.kind == "PRODUCER" or not above else f"{above}{BETWEEN}{name}"
        yield node.span.span_id, path
        waiting += [(child, path) for child in node.children]


def _told(run: Run) -> list[Step]:
    """The run's times, one after the other in the order of a run: when each was is not known."""
    steps: list[Step] = []
    cursor = run.start_ns
    for state in State:
        spent_ns = run.times.spent_ns.get(state, 0)
        if spent_ns:
            steps.append(Step(cursor, cursor + spent_ns, state.value, None))
        cursor += spent_ns
    return steps


def _steps(piece: Piece, paths: Mapping[str, str], when: Sequence[Stretch]) -> Iterator[Step]:
    """The piece as it is, or a gap by what the run was doing in it."""
    if piece.node is not None:
        span = piece.node.span
        yield Step(piece.start_ns, piece.end_ns, paths[span.span_id], span)
        return
    cursor = piece.start_ns
    for stretch in when:
        until_ns = min(stretch.end_ns, piece.end_ns)
        if stretch.start_ns <= cursor < until_ns:
            yield Step(cursor, until_ns, GAP + stretch.state, None)
            cursor = until_ns
    if cursor < piece.end_ns:
        yield Step(cursor, piece.end_ns, GAP + _SPANS_MISSING, None)
