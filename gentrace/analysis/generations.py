"""Answers about generations: the newest runs that fulfil conditions, and one that was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gentrace.analysis import filters, ids, sampling
from gentrace.analysis.filters import Filter
from gentrace.analysis.grouping import runs
from gentrace.analysis.runs import Run
from gentrace.core import names
from gentrace.core.errors import NotFoundError, UsageError
from gentrace.sources.base import Source

_HEX = re.compile(r"[0-9a-fA-F]{8,32}")
_TRACE, _WHOLE = "trace", 32
_NAMED = 5  # of generations, in a message
_BOTH = (
    "{asked} {names} the id of a generation, which this is, and of another trace; "
    f"{_TRACE}:{{digits}} asks for that"
)
Say = Callable[[str], object]
_LOOKUPS = {
    "provider": (names.PROVIDER_JOB_ID, "provider job"),
    "job": (names.MESSAGING_MESSAGE_ID, "ARQ job"),
}
_LATER = {"asset": "assets", "request": "the host's X-Trace-ID"}


@dataclass(frozen=True, slots=True)
class Listing:
    """Runs, newest first.

    Attributes:
        truncated: there were more than were asked for, or than the source gave.
        matching: how many fulfilled the conditions.
        notes: what was asked for and is nowhere: attributes, outcomes, ids.
        short: of the long ids among all the runs that were read, beginnings that tell them apart.
    """

    runs: Sequence[Run]
    truncated: bool
    matching: int
    notes: Sequence[str] = ()
    short: Mapping[str, str] = field(default_factory=dict[str, str])


def listing(source: Source, wanted: Filter, limit: int = 0, routes: Iterable[str] = ()) -> Listing:
    """The newest runs that fulfil the conditions.

    Args:
        source: where to read.
        wanted: the conditions.
        limit: how many at most; 0 is all.
        routes: the profile's routes, see :func:`gentrace.analysis.grouping.runs`.
    """
    found = source.traces(wanted.window)
    every = runs(found.traces, routes)
    chosen = [run for run in every if wanted.passes(run)]
    chosen.reverse()
    kept = chosen[:limit] if limit else chosen
    truncated = found.truncated or len(kept) < len(chosen)
    notes = [] if chosen or not every else _nowhere(wanted, every)
    named = (id_ for run in every for id_ in (run.id, run.returned_id) if id_ is not None)
    return Listing(kept, truncated, len(chosen), notes, ids.shortened(named))


def _nowhere(wanted: Filter, every: Sequence[Run]) -> list[str]:
    asked = [filters.SHORT.get(name, name) for name, _ in wanted.where]
    told = [
        filters.unknown(name, filters.SHORT)
        for name in asked
        if not any(run.values(name) for run in every)
    ]
    there = {filters.outcome(run) for run in every}
    known = {*there, filters.UNFINISHED, filters.REFUSED, filters.RETURNED}
    strange = [outcome for outcome in wanted.outcomes if outcome not in known]
    told += [filters.unknown_outcome(outcome, there) for outcome in strange]
    if wanted.ids and not any(wanted.is_asked(run.id) for run in every):
        told.append(f"no generation here is {' or '.join(wanted.ids)}, and no long id begins so")
    return told


def find(
    source: Source, asked: str, routes: Iterable[str] = (), say: Say | None = None
) -> list[Run]:
    """The runs of what was asked for, oldest first; never empty.

    Args:
        asked: a generation id (a UUID with or without its dashes, in either case), the beginning
            of a long one that no other has, a trace id or 8 and more of its first digits,
            ``trace:ID``, ``provider:ID``, ``job:ID``, or nothing: the newest that failed, else the
            newest.
        say: takes what the user should know of the choice.

    Raises:
        NotFoundError: there is no such generation; says what was looked at.
        UsageError: this cannot be looked up here, or several generations or traces begin so.
    """
    if not asked:
        return [newest(source, routes)]
    scheme, colon, rest = asked.partition(":")
    if colon and (named := _by_id(source, asked, routes)):
        return named  # whatever its id looks like
    if colon and scheme in _LATER:
        raise UsageError(
            f"{asked}: {_LATER[scheme]} cannot be looked up in {source.description}; "
            "give a generation id, a trace id, provider:<job id> or job:<ARQ id>"
        )
    if colon and scheme in _LOOKUPS and rest:
        name, what = _LOOKUPS[scheme]
        found = runs(source.by_attribute(name, rest).traces, routes)
        matching = [run for run in found if rest in run.values(name)]
        return matching or _not_found(source, f"{what} {rest!r}")
    if colon and scheme == _TRACE and _HEX.fullmatch(rest):
        return _by_trace(source, rest) or _not_found(source, f"trace {rest!r}")
    matching = _by_id(source, asked, routes)
    digits = _digits(asked)
    if not matching and ids.may_begin(asked):
        matching = _by_beginning(source, asked, digits, routes, say)
    if not matching and digits:
        return _by_trace(source, digits) or _not_found(source, f"generation or trace {asked!r}")
    if matching and len(digits) == _WHOLE and say is not None:
        _say_both(source, asked, digits, matching, say)
    return matching or _not_found(source, f"generation {asked!r}")


def _by_id(source: Source, asked: str, routes: Iterable[str]) -> list[Run]:
    """The runs of the generation; of a UUID in the spelling that is there."""
    for spelling in ids.spellings(asked):
        found = runs(source.by_generation(spelling).traces, routes)
        matching = [run for run in found if run.id == spelling]
        if matching:
            return matching
    return []


def _by_beginning(
    source: Source, asked: str, digits: str, routes: Iterable[str], say: Say | None
) -> list[Run]:
    """The runs of the one generation whose long id begins so."""
    traces = source.traces().traces
    named = {run.id: None for run in runs(traces, routes) if run.id is not None}
    found = [id_ for id_ in named if ids.begins(id_, asked)]
    if len(found) > 1:
        some = ", ".join(found[-_NAMED:]) + (", …" if len(found) > _NAMED else "")
        raise UsageError(
            f"{asked}: {len(found)} generations begin so ({some}); give more of the id"
        )
    chosen = _by_id(source, found[0], routes) if found else []
    others = (t.trace_id for t in traces if digits and t.trace_id.startswith(digits))
    other = next((id_ for id_ in others if all(run.trace_id != id_ for run in chosen)), None)
    if chosen and other is not None and say is not None:
        say(_BOTH.format(asked=asked, names="begins", digits=digits))
    return chosen


def _digits(asked: str) -> str:
    """What was asked for as the digits of a trace id; empty where it can be none."""
    digits = ids.uuid_digits(asked) or asked
    return digits.lower() if _HEX.fullmatch(digits) else ""


def _say_both(source: Source, asked: str, digits: str, chosen: Sequence[Run], say: Say) -> None:
    """Say so where the id is that of another generation's trace, too."""
    if any(run.trace_id == digits for run in chosen) or not source.trace(digits):
        return
    say(_BOTH.format(asked=asked, names="is", digits=digits))


def newest(source: Source, routes: Iterable[str] = ()) -> Run:
    """The newest run that failed, else the newest.

    Raises:
        NotFoundError: there is none at all.
    """
    found = runs(source.traces().traces, routes)
    if not found:
        _not_found(source, "generation")
    failed = [run for run in found if run.outcome == "failed"]
    return (failed or [run for run in found if run.id is not None] or found)[-1]


def _by_trace(source: Source, asked: str) -> list[Run]:
    """The runs in the trace of that id, or of the one whose id begins so."""
    traces = source.trace(asked)
    if len(traces) > 1:
        some = ", ".join(trace.trace_id[:12] for trace in traces[:5])
        raise UsageError(f"{asked}: {len(traces)} traces start so ({some}, …); give more digits")
    return runs(traces)


def _not_found(source: Source, what: str) -> list[Run]:
    """Raise what tells the user where it was looked for and what to try."""
    sampled = sampling.left_out(source)
    if source.is_empty():
        raise NotFoundError(
            f"no {what}: {source.description} is empty, "
            + (
                sampled
                or "nothing has been traced yet. Start API and worker with GENTRACE=1 (or "
                "`gentrace exec -- CMD`) and make a generation"
            )
        )
    raise NotFoundError(
        f"no {what} in {source.description} ({source.looked_at} looked at). "
        + (f"It may not have been sampled: {sampled}. " if sampled else "")
        + "`gentrace list` shows what is there; was it made while API and worker ran with "
        "GENTRACE=1, and is this the place they write to?"
    )
