"""Which spans are one run: traces in, runs out, with what only looks like a run left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set

from gentrace.analysis.parts import Parts
from gentrace.analysis.runs import Run
from gentrace.core import names
from gentrace.core.spans import Span, Trace, nearest

_LONGEST_NUMBER = 9  # digits of a run's number


def runs(
    traces: Iterable[Trace], routes: Iterable[str] = (), elsewhere: Iterable[str] = ()
) -> list[Run]:
    """The runs in these traces, oldest first, and the requests that made none.

    Args:
        traces: whole traces.
        routes: the profile's routes; a request on another one that failed is no generation's.
        elsewhere: generations whose runs are in other traces than these.
    """
    known = frozenset(routes)
    found = [run for trace in traces for run in _of_trace(trace, known)]
    found.sort(key=lambda run: (run.start_ns, run.trace_id))
    own = {*elsewhere, *(run.id for run in found if run.parts.of_a_run)}
    return _numbered([run for run in found if run.parts.of_a_run or not _of_another(run, own)])


def _of_another(run: Run, own: Set[str | None]) -> bool:
    """Whether spans without a life of their own were made for a run that is in another trace."""
    return run.id is not None and (run.id in own or any(s.links for s in run.parts.spans))


def _of_trace(trace: Trace, routes: frozenset[str]) -> list[Run]:
    shares = _shares(trace)
    if shares:
        return [Run(id_, 0, trace, Parts(spans)) for id_, spans in shares.items()]
    parts = Parts(trace.spans)
    server = parts.server
    if server is None:
        return []
    route = server.text("http.route") or server.text("url.path") or server.text("http.target")
    asked = parts.create is not None or parts.first(names.RETURNED_ID) is not None
    return [Run(None, 0, trace, parts)] if asked or not routes or route in routes else []


def _shares(trace: Trace) -> dict[str, list[Span]]:
    """The trace's spans by generation; what names none goes with its parent's or the first."""
    ids = {span.span_id: span.text(names.GENERATION_ID) for span in trace.spans}
    known = [id_ for id_ in dict.fromkeys(ids.values()) if id_ is not None]
    if len(known) <= 1:
        return {id_: list(trace.spans) for id_ in known}
    parents = {span.span_id: span.parent_id for span in trace.spans}
    owners = nearest(parents, {span_id: id_ for span_id, id_ in ids.items() if id_ is not None})
    shares: dict[str, list[Span]] = defaultdict(list)
    for span in trace.spans:
        shares[owners.get(span.span_id, known[0])].append(span)
    return shares


def _numbered(found: list[Run]) -> list[Run]:
    """With their run numbers: as told by their spans, else counted on in time order."""
    last: dict[str | None, int] = {}
    numbered: list[Run] = []
    for run in found:
        told = run.parts.first(names.GENERATION_RUN)
        sound = told and told.isdecimal() and len(told) <= _LONGEST_NUMBER
        number = int(told) if told and sound else last.get(run.id, 0) + 1
        last[run.id] = number
        numbered.append(run.as_number(1 if run.id is None else number))
    return numbered
