"""Two runs against each other: where the difference of their durations lies, and what else differs.

Both are told by path (:mod:`gentrace.analysis.story`), so that each difference is one of the same
thing done, and all of them add up to the difference of the durations, to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gentrace.analysis import generations, remarks
from gentrace.analysis.compare.attributes import Differing, differing
from gentrace.analysis.compare.divergence import Divergence, first_divergence
from gentrace.analysis.generations import Say
from gentrace.analysis.runs import Run
from gentrace.analysis.story import Story, story
from gentrace.core import names
from gentrace.core.errors import UsageError
from gentrace.core.run.times import State
from gentrace.core.spans import Span
from gentrace.sources.base import Source

_NAMED = 5  # of generations, in a message


@dataclass(frozen=True, slots=True)
class PathRow:
    """One path in both runs: the time that went to it alone, and how many spans it has."""

    path: str
    a_ns: int
    b_ns: int
    n_a: int
    n_b: int
    failed_a: int = 0
    failed_b: int = 0

    @property
    def difference_ns(self) -> int:
        """B minus A."""
        return self.b_ns - self.a_ns


@dataclass(frozen=True)
class PairComparison:
    """Run B against run A.

    Attributes:
        by_time: nanoseconds in each of the times, of A and of B.
        by_path: the largest difference first.
        divergence: the first place where they differ by more than noise; None where nowhere.
        by_states: one of the two has no spans but the run's, so that the paths of both are the
            times.
        notes: sentences on what is missing, and what was done about it.
    """

    a: Story
    b: Story
    by_time: Mapping[State, tuple[int, int]]
    by_path: Sequence[PathRow]
    divergence: Divergence | None
    attributes: Sequence[Differing]
    by_states: bool
    notes: Sequence[str]

    @property
    def difference_ns(self) -> int:
        """How much longer B took than A."""
        return self.b.total_ns - self.a.total_ns


def choose(
    source: Source, a: str, b: str = "", routes: Iterable[str] = (), say: Say | None = None
) -> tuple[Run, Run]:
    """The two runs that were asked for.

    Args:
        a: what :func:`gentrace.analysis.generations.find` takes; its last run where it has several.
        b: likewise; nothing takes the first and the last run of ``a``.
        say: takes what the user should know of the choice.

    Raises:
        NotFoundError: one of them is not there.
        UsageError: there is only one run to compare, or several generations are called so.
    """
    routes = frozenset(routes)
    if not a:
        raise UsageError("compare: name a generation, or two: `gentrace compare 1234 1240`")
    found = _of_one_generation(source, a, routes, say)
    if b:
        return found[-1], _of_one_generation(source, b, routes, say)[-1]
    if len(found) < 2:
        raise UsageError(
            f"{a} has one run only, and nothing to compare it with; name another generation: "
            f"`gentrace compare {a} OTHER`"
        )
    return found[0], found[-1]


def _of_one_generation(
    source: Source, asked: str, routes: frozenset[str], say: Say | None
) -> list[Run]:
    found = generations.find(source, asked, routes, say)
    ids = list(dict.fromkeys(run.id for run in found if run.id is not None))
    if len(ids) > 1:
        some = ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
        raise UsageError(
            f"{asked} holds several generations ({some}); name the ones to compare: "
            f"`gentrace compare {ids[0]} {ids[1]}`"
        )
    return found


def compare(run_a: Run, run_b: Run) -> PairComparison:
    """B against A; answers whatever their spans are, and says what is wrong with them."""
    a, b = story(run_a), story(run_b)
    by_states = a.bare or b.bare
    by_time = {
        state: (run_a.times.spent_ns.get(state, 0), run_b.times.spent_ns.get(state, 0))
        for state in State
    }
    return PairComparison(
        a, b,
        by_time=by_time,
        by_path=_states(by_time) if by_states else _paths(a, b),
        divergence=first_divergence(a, b, by_states),
        attributes=differing(a, b),
        by_states=by_states,
        notes=_notes(a, b, by_states),
    )  # fmt: skip


def _states(by_time: Mapping[State, tuple[int, int]]) -> list[PathRow]:
    rows = [
        PathRow(state.value, a_ns, b_ns, int(a_ns > 0), int(b_ns > 0))
        for state, (a_ns, b_ns) in by_time.items()
        if a_ns or b_ns
    ]
    return _ordered(rows)


def _paths(a: Story, b: Story) -> list[PathRow]:
    spent_a, spent_b = a.spent(), b.spent()
    spans_a, spans_b = a.occurrences(), b.occurrences()
    return _ordered(
        [
            PathRow(
                path,
                spent_a.get(path, 0),
                spent_b.get(path, 0),
                len(spans_a.get(path, ())) or int(path in spent_a),
                len(spans_b.get(path, ())) or int(path in spent_b),
                _failed(spans_a.get(path, ())),
                _failed(spans_b.get(path, ())),
            )
            for path in dict.fromkeys((*spans_a, *spans_b, *spent_a, *spent_b))
        ]
    )


def _ordered(rows: list[PathRow]) -> list[PathRow]:
    return sorted(rows, key=lambda row: (-abs(row.difference_ns), -max(row.a_ns, row.b_ns)))


def _failed(spans: Sequence[Span]) -> int:
    return sum(span.failed for span in spans)


def _notes(a: Story, b: Story, by_states: bool) -> list[str]:
    told: list[str] = []
    if a.run.trace_id == b.run.trace_id and a.run.id == b.run.id:
        told.append("A and B are the same run")
    of_a, of_b = _of_story(a), _of_story(b)
    told += [f"A and B: {text}" for text in of_a if text in of_b]
    told += [f"A: {text}" for text in of_a if text not in of_b]
    told += [f"B: {text}" for text in of_b if text not in of_a]
    if by_states:
        told.append("compared by the times: a path needs spans on both sides")
    return told


def _of_story(one: Story) -> list[str]:
    told = remarks.of_run(one.run)
    if one.bare:
        told.append("only its run span is there: how long each state took, not when")
    for each in one.disagreements:
        told.append(
            f"{names.TIMES[each.state]} is {each.told_ns / 1e9:.3f} on the run span, and "
            f"{each.spans_ns / 1e9:.3f} by its spans: some are missing"
        )
    return told
