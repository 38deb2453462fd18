"""Makes the runs of a generation out of its events: pure, with no clock and no Redis.

Neither the order of the events nor how often one comes is an input, so that whoever reads the same
list finds the same runs: the process that settles them, one that sees to a dead process, a command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gentrace.core.run.events import Compact, Died, RunEvent, Step, Unknown, Written, load
from gentrace.core.run.folded import Folded, SortedOut
from gentrace.core.run.order import Placed, ordered
from gentrace.core.run.rules import Settling
from gentrace.core.run.run import Run
from gentrace.core.run.taking import Taking


def read(texts: Iterable[str], rules: Settling, traces: Mapping[int, str] | None = None) -> Folded:
    """The runs of a list as it is in Redis."""
    return fold([event for text in texts for event in load(text)], rules, traces)


def traces_of(fields: Mapping[str, str]) -> dict[int, str]:
    """The trace of each run, as the first to begin it has said in the hash ``run:<id>``."""
    return {
        int(number): trace_id
        for name, trace_id in fields.items()
        if name.startswith("trace:") and (number := name.partition(":")[2]).isdecimal()
    }


def fold(
    events: Iterable[RunEvent | Unknown],
    rules: Settling,
    traces: Mapping[int, str] | None = None,
) -> Folded:
    """The runs that these events tell of.

    Args:
        traces: by run number, the trace that was agreed on where two began one at once.
    """
    folding = sorted_out(events)
    made = Taking(rules, traces or {}, folding)
    for each in folding.placed:
        made.take(each)
    return folding.found


def sorted_out(events: Iterable[RunEvent | Unknown]) -> SortedOut:
    """The events in their order, each once."""
    steps: dict[tuple[str, int], Step] = {}
    ends: dict[tuple[int, str], Written] = {}
    deaths: dict[str, Died] = {}
    compact: Compact | None = None
    found = Folded()
    for event in events:
        if isinstance(event, Step):
            found.duplicates += (event.instance, event.n) in steps
            steps[event.instance, event.n] = event
        elif isinstance(event, Written):
            known = ends.get((event.number, event.trace))
            found.duplicates += known is not None
            if known is None or (event.end_ns, event.instance) < (known.end_ns, known.instance):
                ends[event.number, event.trace] = event
        elif isinstance(event, Died):
            known_death = deaths.get(event.instance)
            found.duplicates += known_death is not None
            if known_death is None or event.last_ns < known_death.last_ns:
                deaths[event.instance] = event
        elif isinstance(event, Compact):
            if compact is None or event.count > compact.count:
                compact = event
        else:
            found.unknown += 1
    boundary_ns = 0
    if compact is not None:
        try:
            found.runs = [Run.of(plain) for plain in compact.runs]
            found.upto, found.count = dict(compact.upto), compact.count
            boundary_ns = compact.at_ns
        except (ValueError, TypeError, KeyError, AttributeError):
            found.unknown += 1
    upto = dict(found.upto)
    fresh = [step for step in steps.values() if step.n > upto.get(step.instance, 0)]
    found.duplicates += len(steps) - len(fresh)
    found.count += len(fresh)
    for step in fresh:
        found.upto[step.instance] = max(step.n, found.upto.get(step.instance, 0))
    placed = ordered(fresh, ends.values(), deaths.values())
    for each in placed:
        if each.at_ns < boundary_ns:
            each.move(boundary_ns)
    return SortedOut(placed, found, upto)


def compacted(
    events: Iterable[RunEvent | Unknown],
    rules: Settling,
    keep: int,
    traces: Mapping[int, str] | None = None,
) -> Compact | None:
    """One event in the place of all but the newest steps; None where none can go.

    Args:
        events: of one generation.
        keep: how many of the newest steps stay as they are.
    """
    folding = sorted_out(events)
    cut = _cut(folding.placed, len(folding.placed) - keep)
    if cut <= 0:
        return None
    made, upto = Taking(rules, traces or {}, folding), dict(folding.upto)
    count = folding.found.count
    for each in folding.placed:
        count -= isinstance(each.what, Step)
    for each in folding.placed[:cut]:
        made.take(each)
        if isinstance(each.what, Step):
            count += 1
            upto[each.what.instance] = max(each.what.n, upto.get(each.what.instance, 0))
    found = folding.found.runs
    runs = tuple(run.plain() for run in found if not run.written or run in found[-2:])
    return Compact(folding.placed[cut - 1].at_ns, upto, runs, count)


def _cut(placed: list[Placed], most: int) -> int:
    """How many of the oldest can go: of each process those that were told first."""
    for cut in range(most, 0, -1):
        lowest: dict[str, int] = {}
        for each in placed[cut:]:
            if isinstance(each.what, Step):
                who = each.what.instance
                lowest[who] = min(each.what.n, lowest.get(who, each.what.n))
        sound = all(
            each.what.n < lowest.get(each.what.instance, each.what.n + 1)
            for each in placed[:cut]
            if isinstance(each.what, Step)
        )
        if sound:
            return cut
    return 0
