"""A search that is asked again in smaller pieces of time where Jaeger gave no more than its limit.

Jaeger never says that it held something back. It is taken to have done so where it gave as many
traces as it was asked for, and, since Cassandra's limit is one of index rows (three a trace), where
the spans that match are as many as those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from gentrace.core.spans import Span, Trace, plain, traces
from gentrace.sources.jaeger.decoded import Decoded
from gentrace.sources.jaeger.query import Query

ROWS_A_TRACE = 3
NARROWEST_NS = 1_000_000
MOST_SEARCHES = 200

Search = Callable[[Query], Decoded]


class Collected:
    """What several searches found.

    Attributes:
        by_id: each trace, as one search gave it.
        truncated: Jaeger has more in that time than was read.
        cut: what Jaeger says of spans that it held back.
        damaged: how many spans could not be understood.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, Trace] = {}
        self.truncated = False
        self.cut = ""
        self.damaged = 0

    def add(self, found: Decoded) -> dict[str, Trace]:
        """Take an answer; returns its traces. Of a trace given twice the longer one stays."""
        given = {trace.trace_id: trace for trace in traces(found)}
        for trace_id, trace in given.items():
            before = self.by_id.get(trace_id)
            if before is None or len(trace.spans) >= len(before.spans):
                self.by_id[trace_id] = trace
        self.cut = self.cut or found.cut
        self.damaged += found.damaged
        return given


def collect(search: Search, query: Query, most: int, into: Collected) -> None:
    """Search a stretch of time, the newest part of it first.

    Args:
        query: its limit is that of each single search.
        most: after so many traces the rest is left, and that is said.
    """
    parts = [(query.since_ns, query.until_ns)]
    ids: set[str] = set()
    searches = 0
    while parts:
        since_ns, until_ns = parts.pop()
        if len(ids) >= most or searches >= MOST_SEARCHES:
            into.truncated = True
            return
        searches += 1
        part = replace(query, since_ns=since_ns, until_ns=until_ns)
        given = into.add(search(part))
        ids |= given.keys()
        matching = {id_: sorted(_starts(trace.spans, part)) for id_, trace in given.items()}
        starts = [at for found in matching.values() for at in found]
        if len(given) >= query.limit:
            if until_ns - since_ns <= NARROWEST_NS:
                into.truncated = True
                continue
            newest = sorted(found[-1] for found in matching.values() if found)
            middle = _between(newest, since_ns, until_ns)
            parts += [(since_ns, middle), (middle, until_ns)]
        elif len(starts) >= query.limit * ROWS_A_TRACE and min(starts) > since_ns + NARROWEST_NS:
            # Rows come newest first: what may be missing is older than all that came.
            parts.append((since_ns, min(starts)))


def _between(moments: list[int], since_ns: int, until_ns: int) -> int:
    """A moment with about as much before as after it; in whole microseconds, as v1 counts."""
    least = NARROWEST_NS // 2
    for moment in moments[len(moments) // 2 :][:1]:
        if since_ns + least <= moment <= until_ns - least:
            return moment // 1_000 * 1_000
    return (since_ns + until_ns) // 2_000 * 1_000


def _starts(spans: Iterable[Span], query: Query) -> Iterable[int]:
    """When the spans of a trace began that Jaeger found it by."""
    for span in spans:
        inside = query.since_ns <= span.start_ns <= query.until_ns
        if inside and span.service == query.service and _tagged(span, query):
            yield span.start_ns


def _tagged(span: Span, query: Query) -> bool:
    return all(plain(span.attributes.get(name)) == value for name, value in query.tags.items())
